"""Where the protocol meets the core: AMQP methods become calls on a vhost, and answers go back.

`connection` (built on `link`, what its channels share) logs in and opens a vhost; `channel` has
delivery tags, the unacked window and the way of a publish; `subscription` is a consumer of a queue
that writes deliveries; `on_<class>` files carry out the methods, `dispatch` finds the right one;
`settlement` alone decides when a confirm or an -ok that promises durability leaves.
"""
