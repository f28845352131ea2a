"""pika with its blocking adapter; where that cannot show something, the select adapter."""
