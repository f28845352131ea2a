"""Bytes and what they say: frames, methods, properties, field tables.

`frames` builds frames and copies contents; `methods` holds the codecs of the methods; `properties`
looks into a content header without decoding it; `tables` is the field-table dialect of RabbitMQ.
Nothing here knows a connection.
"""
