// Java's own client, java.net.http, in Client.java.

import path from "node:path";
import { foreign } from "./foreign.mjs";
import { PACKAGE } from "./harness.mjs";

await foreign(
  "java",
  process.env.JAVA,
  [path.join(PACKAGE, "tests/apps/Client.java")],
  [
    "texts, fragments and bytes pass",
    "its pings are answered, and it answers those it is sent",
    "it is known by a token in the header, the subprotocol and the first message",
    "who has none is told why",
    "it goes on through an edit, and is told codes and reasons",
    "over TLS, of an authority that it trusts and of none other",
  ],
);
