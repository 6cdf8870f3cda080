//! The keys of `[authorize.*]`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::table::Subprotocol;
use crate::config::units::{Many, written_as_string};
use crate::stage::certificate::Allow;
use crate::stage::pattern::{HostPattern, PathPattern};

use super::want::Want;

/// `[authorize.NAME]`: what a client has to be, or to have, for what it asks for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("anyOf" = [{ "required": ["require"] }, { "required": ["scopes"] }, { "required": ["certificate"] }]))]
pub struct Table {
    /// Which requests it goes for: all that this describes. Left out, it goes for every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Claims by their names, or by dotted paths to them, and what each has to be: a text, a whole number, `true` or `false`, or one of a
    /// list. A text may have `{path.NAME}` and `{host.NAME}`, named segments of the route. A claim that is a list has to have one of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub require: BTreeMap<String, Many<Want>>,
    /// Scopes, all of which the client has to have: by the `scope` of its token or key, or else by `scp` or `scopes`.
    #[serde(skip_serializing_if = "is_empty")]
    pub scopes: Many<String>,
    /// The client's own certificate, which its listener has verified: one of these lists has to name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Allow>,
}

/// Which requests a rule goes for: all of these have to hold, and of each list one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "AuthorizeWhen")]
pub struct When {
    /// Paths, as routes have them: `"/admin/*"` is `/admin` and everything below.
    #[serde(skip_serializing_if = "is_empty")]
    pub path: Many<PathOf>,
    /// Hosts, as routes have them: `"*.example.com"`.
    #[serde(skip_serializing_if = "is_empty")]
    pub host: Many<HostOf>,
    /// Methods of ordinary requests; a WebSocket is opened by `"GET"`.
    #[serde(skip_serializing_if = "is_empty")]
    pub method: Many<Method>,
    /// Subprotocols: whoever offers one of them, and whose connection speaks it.
    #[serde(skip_serializing_if = "is_empty")]
    pub subprotocol: Many<Subprotocol>,
}

fn is_empty<T>(list: &Many<T>) -> bool {
    list.0.is_empty()
}

/// A pattern, with the text it was written as.
macro_rules! pattern {
    ($type:ident, $pattern:ty, $name:literal, $expecting:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type {
            written: Box<str>,
            pub(super) pattern: $pattern,
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Ok(Self { written: text.into(), pattern: <$pattern>::parse(text)? })
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.written)
            }
        }

        written_as_string!($type, $name, $expecting);
    };
}

pattern!(PathOf, PathPattern, "PathOfRule", "a path: \"/admin/*\"", "A path of a rule.");
pattern!(HostOf, HostPattern, "HostOfRule", "a host: \"admin.example.com\", \"*.example.com\"", "A host of a rule.");

/// A method (RFC 9110 §9.1), in capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(pub(super) Box<str>);

impl std::str::FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        match text.to_ascii_uppercase() {
            _ if !is_good => Err(format!("{text:?} is not a method; write \"POST\"")),
            upper if upper != text => Err(format!("methods are told apart by their case, and {text:?} is none in use; write {upper:?}")),
            upper => Ok(Self(upper.into())),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_string!(Method, "Method", "a method: \"POST\"", r"^[!#$%&'*+.^_`|~0-9A-Z-]+$");
