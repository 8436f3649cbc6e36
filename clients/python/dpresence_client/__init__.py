"""Client of dpresence. README.md has examples; docs/protocol.md is the contract."""
