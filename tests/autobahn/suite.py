"""The suite as it is, in its own Python 2: `suite.py SITE SPEC`, where SITE is the folder it was fetched into.

A SPEC with `servers` has them fuzzed; one with a `port` has whatever connects to that.
"""

import json
import site
import sys
import types

site.addsitedir(sys.argv[1])

import twisted.internet

# No case needs TLS, which needs what is not Python, and none needs what tests the suite itself.
sys.modules["twisted.internet.ssl"] = twisted.internet.ssl = types.ModuleType("twisted.internet.ssl")
sys.modules["unittest2"] = types.ModuleType("unittest2")
sys.modules["unittest2"].TestCase = object

# Chooses the reactor, and so has to come before anything that asks for one.
from autobahntestsuite import choosereactor
from autobahntestsuite import fuzzing
from twisted.internet import reactor

with open(sys.argv[2]) as spec:
    spec = json.load(spec)

if "servers" in spec:
    fuzzing.startClient(spec)
else:
    reactor.listenTCP(spec["port"], fuzzing.FuzzingServerFactory(spec), interface="127.0.0.1")
    print("listening")
sys.stdout.flush()
reactor.run()
