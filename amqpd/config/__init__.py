"""Where settings come from: option > environment variable > configuration file > default.

| module | what it owns |
|---|---|
| `syntax` | the text of a configuration file, in RabbitMQ's `rabbitmq.conf` form, as assignments |
| `values` | what a value may look like: numbers, sizes, switches, addresses |
| `keys` | every setting that amqpd has, one row each |
| `foreign` | settings that only RabbitMQ has, and the nearest name to a misspelt one |
| `environment` | environment variables, as assignments |
| `load` | all sources merged into one `Settings` |

Everything is an `Assignment` (key, text, where it stands) until `load` makes typed values of it, so
every source is checked by the same rules and a mistake in any of them names its place.
"""
