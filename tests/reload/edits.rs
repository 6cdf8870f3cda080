//! A table: an edit, and what a connection that is open sees of it.

use serde_json::json;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use super::support::{self, Gateway, SECRET, Socket, backend, request, token};

/// What a connection sees after an edit.
enum Sees {
    /// It goes on: what it sends is answered so.
    Answer(&'static str),
    /// It is closed with this code, for this.
    Close(u16, &'static str),
    /// It goes on, and what it sends next closes it.
    CloseNext(u16, &'static str),
    /// It goes on, and a message of so many bytes closes it.
    CloseAt(usize, u16, &'static str),
    /// It goes on, and so long a message comes back.
    Long(usize),
}
use Sees::{Answer, Close, CloseAt, CloseNext, Long};

/// An edit: what stands in the place of `{}` of [`FRAME`] before and after.
struct Edit {
    what: &'static str,
    before: &'static str,
    after: &'static str,
    sees: Sees,
}

/// What every file begins with: closes that an edit causes come at once.
const FRAME: &str =
    "[gateway]\nreload = { watch = false, spread = \"1ms\", rate = \"10000/s\" }\n[listener.public]\naddress = \"127.0.0.1:0\"\n";

/// The secret of the token that each client brings; `alice` it says she is, from `idp`, and for `api` where that is asked.
const JWT: &str = "[jwt.users]\nalgorithms = [\"HS256\"]\nsecret = { env = \"NOBODY_SETS_THIS\", default = \"@secret\" }\n";

const EDITS: &[Edit] = &[
    Edit {
        what: "a comment",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "# nothing new\n[route.a]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a firewall that denies it",
        before: "[firewall.f]\ndeny = [\"192.0.2.0/24\"]\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        after: "[firewall.f]\ndeny = [\"127.0.0.0/8\"]\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        sees: Close(3003, "ip_denied"),
    },
    Edit {
        what: "a firewall that denies somebody else",
        before: "[firewall.f]\ndeny = [\"192.0.2.0/24\"]\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        after: "[firewall.f]\ndeny = [\"198.51.100.0/24\"]\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a firewall that would deny it, in report mode",
        before: "[firewall.f]\ndeny = [\"192.0.2.0/24\"]\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        after: "[firewall.f]\nmode = \"report\"\ndeny = [\"127.0.0.0/8\"]\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a firewall that leaves report mode",
        before: "[firewall.f]\nmode = \"report\"\ndeny = [\"127.0.0.0/8\"]\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        after: "[firewall.f]\ndeny = [\"127.0.0.0/8\"]\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        sees: Close(3003, "ip_denied"),
    },
    Edit {
        what: "a denial whose words an errors stage changes in the same edit",
        before: "[firewall.f]\ndeny = [\"192.0.2.0/24\"]\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        after: "[firewall.f]\ndeny = [\"127.0.0.0/8\"]\n[errors.e]\ncodes = { ip_denied = 4403 }\n[route.a]\npipeline = [\"firewall.f\", \"errors.e\"]\nendpoint = \"echo\"",
        sees: Close(4403, "ip_denied"),
    },
    Edit {
        what: "an errors stage",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[errors.e]\nbody = \"json\"\n[route.a]\npipeline = [\"errors.e\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "an endpoint's own key",
        before: "[echo.e]\nprefix = \"one \"\n[route.a]\nendpoint = \"echo.e\"",
        after: "[echo.e]\nprefix = \"two \"\n[route.a]\nendpoint = \"echo.e\"",
        sees: Answer("two hi"),
    },
    Edit {
        what: "another endpoint of the gateway's own",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[echo.e]\nprefix = \"new \"\n[route.a]\nendpoint = \"echo.e\"",
        sees: Answer("new hi"),
    },
    Edit {
        what: "an endpoint of another kind",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[route.a]\nendpoint = \"ws://@backend\"",
        sees: Close(1012, "route_changed"),
    },
    Edit {
        what: "a secret that is not its token's",
        before: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@other[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        sees: Close(3000, "token_invalid"),
    },
    Edit {
        what: "a secret more",
        before: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@both[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "an audience that its token has",
        before: "@jwtaudience = [\"api\", \"web\"]\n[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@jwtaudience = \"api\"\n[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "an audience that its token has not",
        before: "@jwtaudience = \"api\"\n[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@jwtaudience = \"other\"\n[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        sees: Close(3000, "token_invalid"),
    },
    Edit {
        what: "another issuer",
        before: "@jwtissuer = \"idp\"\n[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@jwtissuer = \"idp2\"\n[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        sees: Close(3000, "token_invalid"),
    },
    Edit {
        what: "a claim that is required and missing",
        before: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@jwtrequire = [\"exp\", \"tenant\"]\n[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        sees: Close(3000, "token_invalid"),
    },
    Edit {
        what: "authentication where there was none",
        before: "@jwt[route.a]\nendpoint = \"echo\"",
        after: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        sees: Close(3000, "token_missing"),
    },
    Edit {
        what: "no authentication any more",
        before: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@jwt[route.a]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "another name for a stage",
        before: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@renamed[route.a]\npipeline = [\"jwt.people\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a revocation of its subject",
        before: "@jwt[revoked.r]\nsub = [\"mallory\"]\n[route.a]\npipeline = [\"jwt.users\", \"revoked.r\"]\nendpoint = \"echo\"",
        after: "@jwt[revoked.r]\nsub = [\"mallory\", \"alice\"]\n[route.a]\npipeline = [\"jwt.users\", \"revoked.r\"]\nendpoint = \"echo\"",
        sees: Close(3003, "revoked"),
    },
    Edit {
        what: "a revocation of somebody else",
        before: "@jwt[revoked.r]\nsub = [\"mallory\"]\n[route.a]\npipeline = [\"jwt.users\", \"revoked.r\"]\nendpoint = \"echo\"",
        after: "@jwt[revoked.r]\nsub = [\"mallory\", \"bob\"]\n[route.a]\npipeline = [\"jwt.users\", \"revoked.r\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "an origin that is no longer allowed",
        before: "[origin.o]\nallow = [\"https://a.example\"]\n[route.a]\npipeline = [\"origin.o\"]\nendpoint = \"echo\"",
        after: "[origin.o]\nallow = [\"https://b.example\"]\n[route.a]\npipeline = [\"origin.o\"]\nendpoint = \"echo\"",
        sees: Close(3003, "origin_denied"),
    },
    Edit {
        what: "a smaller message",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[route.a]\nmax_message = { client = \"100B\" }\nendpoint = \"echo\"",
        sees: CloseAt(101, 1009, "message_too_large"),
    },
    Edit {
        what: "a larger message",
        before: "[route.a]\nmax_message = { client = \"100B\" }\nendpoint = \"echo\"",
        after: "[route.a]\nendpoint = \"echo\"",
        sees: Long(1000),
    },
    Edit {
        what: "a smaller message to a backend",
        before: "[route.a]\nendpoint = \"ws://@backend\"",
        after: "[route.a]\nmax_message = { client = \"100B\" }\nendpoint = \"ws://@backend\"",
        sees: CloseAt(101, 1009, "message_too_large"),
    },
    Edit {
        what: "a limit on messages",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[rate_limit.l]\nkey = \"ip\"\nmessages = { rate = \"1/h\", burst = 1 }\non_excess = \"close\"\n[route.a]\npipeline = [\"rate_limit.l\"]\nendpoint = \"echo\"",
        sees: CloseAt(11, 1008, "rate_limited"),
    },
    Edit {
        what: "a limit that leaves one message more",
        before: "[rate_limit.l]\nkey = \"ip\"\nmessages = { rate = \"1/h\", burst = 1 }\non_excess = \"close\"\n[route.a]\npipeline = [\"rate_limit.l\"]\nendpoint = \"echo\"",
        after: "[rate_limit.l]\nkey = \"ip\"\nmessages = { rate = \"1/h\", burst = 2 }\non_excess = \"close\"\n[route.a]\npipeline = [\"rate_limit.l\"]\nendpoint = \"echo\"",
        sees: Long(1000),
    },
    Edit {
        what: "JSON that is asked for",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[message.m]\njson = true\n[route.a]\npipeline = [\"message.m\"]\nendpoint = \"echo\"",
        sees: CloseNext(1007, "schema_violation"),
    },
    Edit {
        what: "JSON that is asked for before a backend",
        before: "[route.a]\nendpoint = \"ws://@backend\"",
        after: "[message.m]\njson = true\n[route.a]\npipeline = [\"message.m\"]\nendpoint = \"ws://@backend\"",
        sees: CloseNext(1007, "schema_violation"),
    },
    Edit {
        what: "a rule that denies its messages, in report mode",
        before: "[message.m]\ntypes = \"text\"\n[route.a]\npipeline = [\"message.m\"]\nendpoint = \"ws://@backend\"",
        after: "[message.m]\nrules = { field = \"a\", missing = true, deny = true, mode = \"report\" }\n[route.a]\npipeline = [\"message.m\"]\nendpoint = \"ws://@backend\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "no demands on messages any more",
        before: "[message.m]\ntypes = \"binary\"\n[route.a]\npipeline = [\"message.m\"]\nendpoint = \"ws://@backend\"",
        after: "[route.a]\nendpoint = \"ws://@backend\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "another name for its route",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[route.b]\nendpoint = \"echo\"",
        sees: Close(1012, "route_changed"),
    },
    Edit {
        what: "a route that takes its path",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[route.a]\nendpoint = \"echo\"\n[route.b]\npath = \"/chat\"\nendpoint = \"echo\"",
        sees: Close(1012, "route_changed"),
    },
    Edit {
        what: "a route beside its own",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[route.a]\nendpoint = \"echo\"\n[route.b]\npath = \"/other\"\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "other paths for its route",
        before: "[route.a]\npath = \"/chat\"\nendpoint = \"echo\"",
        after: "[route.a]\npath = [\"/chat\", \"/talk/*\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a path that its route has not any more",
        before: "[route.a]\npath = \"/chat\"\nendpoint = \"echo\"",
        after: "[route.a]\npath = \"/talk\"\nendpoint = \"echo\"",
        sees: Close(1012, "route_removed"),
    },
    Edit {
        what: "another name for a segment of its path",
        before: "[route.a]\npath = \"/{room}\"\nendpoint = \"echo\"",
        after: "[route.a]\npath = \"/{tenant}\"\nendpoint = \"echo\"",
        sees: Close(1012, "route_changed"),
    },
    Edit {
        what: "no listener of its name",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "@elsewhere[route.a]\nendpoint = \"echo\"",
        sees: Close(1012, "route_removed"),
    },
    Edit {
        what: "a server more",
        before: "[upstream.u]\nservers = [\"ws://@backend\"]\n[route.a]\nendpoint = \"upstream.u\"",
        after: "[upstream.u]\nservers = [\"ws://127.0.0.1:9\", \"ws://@backend\"]\n[route.a]\nendpoint = \"upstream.u\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "another upstream with its server",
        before: "[upstream.u]\nservers = [\"ws://@backend\"]\n[route.a]\nendpoint = \"upstream.u\"",
        after: "[route.a]\nendpoint = \"ws://@backend\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "no server of its own any more",
        before: "[upstream.u]\nservers = [\"ws://@backend\"]\n[route.a]\nendpoint = \"upstream.u\"",
        after: "[upstream.u]\nservers = [\"ws://127.0.0.1:9\"]\n[route.a]\nendpoint = \"upstream.u\"",
        sees: Close(1012, "rebalance"),
    },
    Edit {
        what: "subprotocols without its own",
        before: "[route.a]\nsubprotocols = [\"v1\"]\nendpoint = \"echo\"",
        after: "[route.a]\nsubprotocols = [\"v2\"]\nendpoint = \"echo\"",
        sees: Close(1012, "route_changed"),
    },
    Edit {
        what: "a clock",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[route.a]\nping = \"5s\"\nidle = \"1h\"\nlifetime = \"8h\"\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "an age that it has passed",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[route.a]\nlifetime = \"1ms\"\nendpoint = \"echo\"",
        sees: Close(1001, "lifetime"),
    },
    Edit {
        what: "a silence that it keeps",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[route.a]\nidle = \"100ms\"\nendpoint = \"echo\"",
        sees: Close(3008, "idle"),
    },
    Edit {
        what: "what its route keeps it from",
        before: "[firewall.f]\ndeny = [\"192.0.2.0/24\"]\n[route.a]\non_reload = \"keep\"\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        after: "[firewall.f]\ndeny = [\"127.0.0.0/8\"]\n[route.a]\non_reload = \"keep\"\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a route that is gone and kept its connections",
        before: "[route.a]\non_reload = \"keep\"\nendpoint = \"echo\"",
        after: "[route.b]\npath = \"/b\"\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a route that drains when it changes",
        before: "[route.a]\non_reload = \"drain\"\nendpoint = \"echo\"",
        after: "[route.a]\non_reload = \"drain\"\nping = \"5s\"\nendpoint = \"echo\"",
        sees: Close(1012, "draining"),
    },
    Edit {
        what: "a route that closes when it changes",
        before: "[route.a]\non_reload = \"close\"\nendpoint = \"echo\"",
        after: "[route.a]\non_reload = \"close\"\nping = \"5s\"\nendpoint = \"echo\"",
        sees: Close(1012, "route_changed"),
    },
    Edit {
        what: "a firewall that denies it, on a route that drains",
        before: "[firewall.f]\ndeny = [\"192.0.2.0/24\"]\n[route.a]\non_reload = \"drain\"\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        after: "[firewall.f]\ndeny = [\"127.0.0.0/8\"]\n[route.a]\non_reload = \"drain\"\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"",
        sees: Close(3003, "ip_denied"),
    },
    Edit {
        what: "more room on the listener of a route that closes",
        before: "[route.a]\non_reload = \"close\"\nendpoint = \"echo\"",
        after: "@roomier[route.a]\non_reload = \"close\"\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "TLS on its listener, where there was none",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "@tls[route.a]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "certificates of clients that its listener asks for",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "@clients[route.a]\nendpoint = \"echo\"",
        sees: Close(3003, "certificate_missing"),
    },
    Edit {
        what: "a client_cert stage where there was none",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[client_cert.c]\n[route.a]\npipeline = [\"client_cert.c\"]\nendpoint = \"echo\"",
        sees: Close(3003, "certificate_missing"),
    },
    Edit {
        what: "another API key beside its own",
        before: "[api_key.k]\nkeys = [{ name = \"ci\", sha256 = \"a40e1be0dab339588660e2d8aef1da7ea7f300c30527aee69dd5e44447bcee70\" }]\n[route.a]\npipeline = [\"api_key.k\"]\nendpoint = \"echo\"",
        after: "[api_key.k]\nkeys = [{ name = \"ci\", sha256 = \"a40e1be0dab339588660e2d8aef1da7ea7f300c30527aee69dd5e44447bcee70\" }, { name = \"x\", sha256 = \"cfafda268376b17dd2a7573273baa37c6e9f248b2b6240c8cf39d7e4de53d3c0\" }]\n[route.a]\npipeline = [\"api_key.k\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "no API key of its own any more",
        before: "[api_key.k]\nkeys = [{ name = \"ci\", sha256 = \"a40e1be0dab339588660e2d8aef1da7ea7f300c30527aee69dd5e44447bcee70\" }]\n[route.a]\npipeline = [\"api_key.k\"]\nendpoint = \"echo\"",
        after: "[api_key.k]\nkeys = [{ name = \"x\", sha256 = \"cfafda268376b17dd2a7573273baa37c6e9f248b2b6240c8cf39d7e4de53d3c0\" }]\n[route.a]\npipeline = [\"api_key.k\"]\nendpoint = \"echo\"",
        sees: Close(3003, "revoked"),
    },
    Edit {
        what: "its API key with an end that is past",
        before: "[api_key.k]\nkeys = [{ name = \"ci\", sha256 = \"a40e1be0dab339588660e2d8aef1da7ea7f300c30527aee69dd5e44447bcee70\" }]\n[route.a]\npipeline = [\"api_key.k\"]\nendpoint = \"echo\"",
        after: "[api_key.k]\nkeys = [{ name = \"ci\", sha256 = \"a40e1be0dab339588660e2d8aef1da7ea7f300c30527aee69dd5e44447bcee70\", expires = 2020-01-01T00:00:00Z }]\n[route.a]\npipeline = [\"api_key.k\"]\nendpoint = \"echo\"",
        sees: Close(3000, "token_expired"),
    },
    Edit {
        what: "its API key with other scopes",
        before: "[api_key.k]\nkeys = [{ name = \"ci\", sha256 = \"a40e1be0dab339588660e2d8aef1da7ea7f300c30527aee69dd5e44447bcee70\" }]\n[route.a]\npipeline = [\"api_key.k\"]\nendpoint = \"echo\"",
        after: "[api_key.k]\nkeys = [{ name = \"ci\", sha256 = \"a40e1be0dab339588660e2d8aef1da7ea7f300c30527aee69dd5e44447bcee70\", scopes = [\"a\"] }]\n[route.a]\npipeline = [\"api_key.k\"]\nendpoint = \"echo\"",
        sees: Close(1012, "route_changed"),
    },
    Edit {
        what: "a rule that it meets",
        before: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@jwt[authorize.z]\nrequire = { sub = \"alice\" }\n[route.a]\npipeline = [\"jwt.users\", \"authorize.z\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a rule that it does not meet",
        before: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@jwt[authorize.z]\nrequire = { role = \"admin\" }\n[route.a]\npipeline = [\"jwt.users\", \"authorize.z\"]\nendpoint = \"echo\"",
        sees: Close(3003, "forbidden"),
    },
    Edit {
        what: "a rule for another path",
        before: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@jwt[authorize.z]\nwhen = { path = \"/admin/*\" }\nrequire = { role = \"admin\" }\n[route.a]\npipeline = [\"jwt.users\", \"authorize.z\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a scope that it has not",
        before: "@jwt[route.a]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"",
        after: "@jwt[authorize.z]\nscopes = \"chat:write\"\n[route.a]\npipeline = [\"jwt.users\", \"authorize.z\"]\nendpoint = \"echo\"",
        sees: Close(3003, "scope_insufficient"),
    },
    Edit {
        what: "a forward_auth stage where there was none",
        before: "[route.a]\nendpoint = \"echo\"",
        after: "[forward_auth.f]\nurl = \"http://127.0.0.1:1/\"\nsend = \"Authorization\"\n[route.a]\npipeline = [\"forward_auth.f\"]\nendpoint = \"echo\"",
        sees: Close(3000, "token_missing"),
    },
    Edit {
        what: "another route, where this one closes when it changes",
        before: "[route.a]\non_reload = \"close\"\nendpoint = \"echo\"\n[route.b]\npath = \"/b\"\nendpoint = \"echo\"",
        after: "[route.a]\non_reload = \"close\"\nendpoint = \"echo\"\n[route.b]\npath = \"/b\"\nping = \"5s\"\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a firewall of its listener that denies it",
        before: "pipeline = [\"firewall.f\"]\n[firewall.f]\ndeny = [\"192.0.2.0/24\"]\n[route.a]\nendpoint = \"echo\"",
        after: "pipeline = [\"firewall.f\"]\n[firewall.f]\ndeny = [\"127.0.0.0/8\"]\n[route.a]\nendpoint = \"echo\"",
        sees: Close(3003, "ip_denied"),
    },
    Edit {
        what: "a stage more on its listener",
        before: "[rate_limit.l]\nkey = \"ip\"\nmessages = { rate = \"1/h\", burst = 1 }\n[route.a]\nendpoint = \"echo\"",
        after: "pipeline = [\"rate_limit.l\"]\n[rate_limit.l]\nkey = \"ip\"\nmessages = { rate = \"1/h\", burst = 1 }\n[route.a]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a limit on connections that it is within",
        before: "[rate_limit.l]\nkey = \"ip\"\nconcurrent = 2\n[route.a]\npipeline = [\"rate_limit.l\"]\nendpoint = \"echo\"",
        after: "[rate_limit.l]\nkey = \"ip\"\nconcurrent = 1\n[route.a]\npipeline = [\"rate_limit.l\"]\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "a smaller message from a backend",
        before: "[route.a]\nmax_message = { upstream = \"1KiB\" }\nendpoint = \"ws://@backend\"",
        after: "[route.a]\nmax_message = { upstream = \"100B\" }\nendpoint = \"ws://@backend\"",
        sees: CloseAt(101, 1011, "upstream_message_too_large"),
    },
    Edit {
        what: "compression switched off",
        before: "[route.a]\nendpoint = \"ws://@backend\"",
        after: "[route.a]\ncompression = \"off\"\nendpoint = \"ws://@backend\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "another balance between its servers",
        before: "[upstream.u]\nservers = [\"ws://@backend\"]\n[route.a]\nendpoint = \"upstream.u\"",
        after: "[upstream.u]\nservers = [{ url = \"ws://@backend\", weight = 3 }]\nbalance = \"round_robin\"\n[route.a]\nendpoint = \"upstream.u\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "another host for its route",
        before: "[route.a]\nhost = \"127.0.0.1\"\nendpoint = \"echo\"",
        after: "[route.a]\nhost = \"chat.example.com\"\nendpoint = \"echo\"",
        sees: Close(1012, "route_removed"),
    },
    Edit {
        what: "a route that is gone and drained its connections",
        before: "[route.a]\non_reload = \"drain\"\nendpoint = \"echo\"",
        after: "[route.b]\npath = \"/b\"\nendpoint = \"echo\"",
        sees: Close(1012, "draining"),
    },
    Edit {
        what: "a route that is gone and closed its connections",
        before: "[route.a]\non_reload = \"close\"\nendpoint = \"echo\"",
        after: "[route.b]\npath = \"/b\"\nendpoint = \"echo\"",
        sees: Close(1012, "route_removed"),
    },
    Edit {
        what: "no listener of its name, on a route that keeps its connections",
        before: "[route.a]\non_reload = \"keep\"\nendpoint = \"echo\"",
        after: "@elsewhere[route.a]\non_reload = \"keep\"\nendpoint = \"echo\"",
        sees: Answer("hi"),
    },
    Edit {
        what: "no listener of its name, on a route that drains",
        before: "[route.a]\non_reload = \"drain\"\nendpoint = \"echo\"",
        after: "@elsewhere[route.a]\non_reload = \"drain\"\nendpoint = \"echo\"",
        sees: Close(1012, "draining"),
    },
];

/// The file a row means.
fn file(text: &str, backend: &str) -> String {
    let secret = |text: &str, secrets: &str| text.replace("secret = { env = \"NOBODY_SETS_THIS\", default = \"@secret\" }", secrets);
    let from_env = |value: &str| format!("{{ env = \"NOBODY_SETS_THIS\", default = \"{value}\" }}");
    let (ours, other) = (from_env(SECRET), from_env("another-secret-of-a-proper-length-0123456789"));
    let text = text
        .replace("@jwt", &secret(JWT, &format!("secret = {ours}")))
        .replace("@other", &secret(JWT, &format!("secret = {other}")))
        .replace("@both", &secret(JWT, &format!("secret = [{other}, {ours}]")))
        .replace("@renamed", &secret(JWT, &format!("secret = {ours}")).replace("jwt.users", "jwt.people"))
        .replace("@backend", backend);
    if let Some(rest) = text.strip_prefix("@roomier") {
        return format!("{FRAME}max_connections = 1000\n{rest}");
    }
    for (mark, more) in [("@tls", ""), ("@clients", ", client_ca = \"KEYS/tls-ca.pem\"")] {
        if let Some(rest) = text.strip_prefix(mark) {
            let tls = format!("tls = {{ cert = \"KEYS/tls.pem\", key = \"KEYS/tls.key\"{more} }}\n");
            return format!("{FRAME}{}{rest}", tls.replace("KEYS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys")));
        }
    }
    match text.strip_prefix("@elsewhere") {
        Some(rest) => format!("{}{rest}", FRAME.replace("listener.public", "listener.other")),
        None => format!("{FRAME}{text}"),
    }
}

async fn client(gateway: &Gateway, before: &str) -> Socket {
    let mut claims = json!({ "sub": "alice", "iss": "idp", "exp": support::now() + 3600 });
    if before.contains("audience") {
        claims["aud"] = json!("api");
    }
    let bearer = format!("Bearer {}", token(&claims));
    let mut headers = vec![("authorization", &*bearer), ("origin", "https://a.example"), ("x-api-key", "for-local-trials-only-ci")];
    if before.contains("subprotocols") {
        headers.push(("sec-websocket-protocol", "v1"));
    }
    support::connect(request(&gateway.url("public", "/chat"), &headers)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_takes_effect_on_a_connection_that_is_open() {
    let (backend, _requests) = backend::echo().await;
    for Edit { what, before, after, sees } in EDITS {
        let (before, after) = (file(before, &backend.to_string()), file(after, &backend.to_string()));
        let mut gateway = Gateway::run(&before);
        let mut socket = client(&gateway, &before).await;
        let came = gateway.reload(&after);
        assert_ne!(came["event"], "reload_refused", "{what}: {came}");
        match *sees {
            Answer(answer) => assert_eq!(support::ask(&mut socket, "hi").await, answer, "{what}"),
            Long(length) => assert_eq!(support::ask(&mut socket, &"x".repeat(length)).await.len(), length, "{what}"),
            Close(code, outcome) => is_closed(&mut gateway, socket, what, (code, outcome)).await,
            CloseNext(code, outcome) => {
                socket.send(Message::text("hi")).await.unwrap();
                is_closed(&mut gateway, socket, what, (code, outcome)).await;
            }
            CloseAt(length, code, outcome) => {
                assert_eq!(support::ask(&mut socket, "hi").await, "hi", "{what}");
                socket.send(Message::text("x".repeat(length))).await.unwrap();
                is_closed(&mut gateway, socket, what, (code, outcome)).await;
            }
        }
    }
}

async fn is_closed(gateway: &mut Gateway, mut socket: Socket, what: &str, (code, outcome): (u16, &str)) {
    assert_eq!(support::closed(&mut socket).await.0, code, "{what}");
    drop(socket);
    let event = gateway.event("close");
    assert_eq!((&event["outcome"], &event["by"]), (&json!(outcome), &json!("gateway")), "{what}: {event}");
}
