"""The same random scripts on two brokers; whatever a client can see must be the same.

| module     | what it owns                                                       |
|------------|--------------------------------------------------------------------|
| `generate` | a seed to a script: which features it mixes, and its steps          |
| `values`   | the arguments, headers and keys that scripts are made of            |
| `explained`| differences that have a reason, and are not compared                |
| `compare`  | one script on both brokers, and where they part                     |
| `shrink`   | a script made as short as it can be while the brokers still differ  |
| `command`  | `python -m interop differential`                                    |
"""
