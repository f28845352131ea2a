"""kombu's own objects (Exchange, Queue, Producer, Consumer) over its py-amqp transport."""
