"""The kit for plugin authors and for our own tests: real HTTP stand-ins of the services that plugins pull."""
