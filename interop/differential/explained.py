"""Differences that have a reason, and are not compared.

What can be taken out of a line that was heard is taken out here. The rest is not asked at all:

- exchange.declare with an unknown type: RabbitMQ 3.10 closes the connection with 503, since 3.11
  it closes the channel with 406, as amqpd does.
- basic.publish with a delivery-mode other than 1 and 2: RabbitMQ 3.10 closes the channel with 406
  ("delivery_mode_unknown"), later ones and amqpd take the message as transient.
- channel.close-ok on an open channel, basic.cancel-ok: RabbitMQ closes the connection with 503.
  amqpd takes them as late words about something that is over; only a broken client can tell.
- x-queue-type that is not known: RabbitMQ 3.10 closes the connection with 541, since 3.12 it closes
  the channel with 406, as amqpd does; where the queue exists, texts differ alike.
- x-max-priority 0: RabbitMQ 3.10 has one level then, 3.13 and amqpd two.
- An ordinary consumer with the tag of the direct reply-to consumer of its channel: RabbitMQ allows
  two consumers of one tag then, amqpd refuses the second as any other.
- basic.qos with global and messages that basic.get has taken: RabbitMQ counts those taken before,
  and for ever, and none of those after. amqpd counts what is unacked.
- A connection that ends while one of its channels has a consumer without acknowledgement: what its
  other channels give back may go to that consumer, and be lost, in RabbitMQ, whose channels end one
  after the other. In amqpd a connection ends as a whole.
- A dead letter that was published with BCC: RabbitMQ routes it by those keys again, though no
  header tells of them; amqpd has forgotten them.
- A publish in a transaction to a queue that is deleted, or made, before the commit: RabbitMQ finds
  queues again by their names at the commit; amqpd goes to those that were there at the publish.
- A message of a short time that overtakes others by its priority: RabbitMQ's optimisation looks at
  the head's time only if the queue was empty before, and so keeps such a message until something
  else happens to the queue. amqpd lets it go when its time is over.
"""

import re
from typing import Final

# RabbitMQ 3.13 and later add x-last-death-*; 3.10, beside which this is run, does not.
_LAST_DEATH: Final = re.compile(r', "x-last-death-(?:reason|queue|exchange)": "[^"]*"')


def comparable(line: str) -> str:
    """The line without what differs for a reason."""
    return _LAST_DEATH.sub("", line)
