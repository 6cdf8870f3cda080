// Python's aiohttp as a client, in aiohttp_client.py.

import path from "node:path";
import { foreign } from "./foreign.mjs";
import { PACKAGE } from "./harness.mjs";

await foreign(
  "aiohttp",
  process.env.AIOHTTP,
  [path.join(PACKAGE, "tests/apps/aiohttp_client.py")],
  [
    "texts and bytes pass, compressed from end to end and where they are read",
    "it is asked whether it is there, and who does not answer is closed",
    "it is known by a token in the header, the subprotocol, a cookie and the first message",
    "who has none is told why",
    "it goes on through an edit, and is told codes and reasons",
    "over TLS, of an authority that it trusts and of none other",
  ],
);
