"""py-amqp used alone, which makes it log in with AMQPLAIN."""
