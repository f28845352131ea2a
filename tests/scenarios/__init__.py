"""What a client sees of a broker: one file per method class or feature, at every distance.

Each scenario runs against amqpd in memory, in simulation and over a socket, and against RabbitMQ.
Where versions of RabbitMQ differ, the expectation asks `peer.oracle`, so that each is held to its
own; `texts` has the words that differ.
"""
