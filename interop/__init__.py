"""interop: real clients against any AMQP 0-9-1 broker, and a matrix of what works.

| module         | what it owns                                                           |
|----------------|------------------------------------------------------------------------|
| `scenarios`    | the catalogue: every scenario's name, time limit and what must be seen  |
| `manifest`     | `client.toml`: how a client is installed and started                    |
| `install`      | installing clients into the cache folder `.interop/`                    |
| `results`      | answers, columns and matrices: what a run found                         |
| `runner`       | one client as a subprocess: questions out, answers back, time limits    |
| `report`       | the matrix as text, and as JSON                                         |
| `junit`, `page`| the same as JUnit XML, and as a page for a browser                      |
| `recorder`     | the wire dialogue of what failed                                        |
| `brokers`      | brokers that are started for a run                                      |
| `rules/`       | the conformance index: named rules, each with a script                  |
| `differential/`| the same random scripts on two brokers                                  |
| `script/`      | scripts: their words, and what comes of them at a broker                |
| `wire/`        | AMQP 0-9-1 as bytes                                                     |
| `address`      | AMQP URLs                                                               |
| `probe`        | is an AMQP broker there, and which one?                                 |
| `cli`          | the command line                                                        |
| `clients/`     | one folder per client                                                   |
| `kit/`         | what the clients written in Python share                                |

Nothing here imports the broker: it runs from a clone against whatever answers at a URL.
"""
