"""aio-pika; where its objects hide something, the aiormq channel beneath them."""
