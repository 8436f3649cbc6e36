"""RFC 6455 by the Autobahn|Testsuite: ``make conformance``."""
