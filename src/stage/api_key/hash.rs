//! Hashes of keys, as lines have them. They print nowhere: the one of a weak key can be tried against, and what stands in the place of a
//! hash may be the key itself.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio::sync::Semaphore;

use crate::config::secret::{MASK, Secret};
use crate::config::units::text_schema;
use crate::stage::Refusal;
use crate::stage::refusal::{INTERNAL, OVERLOADED};
use crate::stage::sha256::Sha256;

/// The most memory that a hash may take to compute, in KiB: 64 MiB, as RFC 9106 §4 has it where memory is scarce.
const MAX_MEMORY: u32 = 64 << 10;
/// The most passes over that memory.
const MAX_PASSES: u32 = 16;
/// The most of both together, in KiB: what takes longer than three passes over 64 MiB holds up whoever waits behind it.
const MAX_WORK: u32 = 3 * MAX_MEMORY;
/// The most lanes; they are computed one after the other.
const MAX_LANES: u32 = 4;
/// The shortest hash and salt, in bytes.
const SHORTEST: (usize, usize) = (16, 8);
/// Keys of one stage that are hashed, or wait to be: who comes when so many do is told to try again.
const MAX_WAITING: usize = 64;
/// Threads that hash at once, at most: each takes up to 64 MiB.
const MAX_AT_ONCE: usize = 4;

/// Half of the processors hash keys, so that the other half goes on with traffic.
static TURNS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(available_parallelism().map_or(1, |all| (all.get() / 2).clamp(1, MAX_AT_ONCE)))));

/// The places of those whose keys are hashed, or wait to be.
pub(super) struct Places(Semaphore);

impl Default for Places {
    fn default() -> Self {
        Self(Semaphore::new(MAX_WAITING))
    }
}

/// A key's SHA-256, as it is written.
#[derive(Clone, PartialEq, Eq)]
pub struct Sha256Hash(Secret);

/// A key's Argon2id hash (RFC 9106) in the form of the PHC, as it is written.
#[derive(Clone, PartialEq, Eq)]
pub struct Argon2Hash(Secret);

/// The same, once it has been read.
#[derive(Clone)]
pub(super) struct Hashed(Arc<str>);

impl Sha256Hash {
    /// Of this key.
    pub(super) fn of(key: &str) -> Self {
        Self(Secret::new(Sha256::of(key.as_bytes()).to_string()))
    }

    /// Itself: for the line that is pasted, never for messages.
    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// # Errors
    /// Says what it is not, and nothing of what it is.
    pub(super) fn read(&self) -> Result<Sha256, String> {
        let why = "this is no SHA-256; write its 64 hex digits, as `wsgate key new` and `wsgate key hash` print them";
        Sha256::from_hex(self.expose()).ok_or_else(|| why.to_owned())
    }
}

impl Argon2Hash {
    /// Of this key, by the parameters that OWASP recommends, with a salt of its own.
    ///
    /// # Errors
    /// Where it cannot be hashed.
    pub(super) fn of(key: &str) -> Result<Self, String> {
        let salt: [u8; 16] = rand::random();
        let hash = hasher().hash_password_with_salt(key.as_bytes(), &salt).map_err(|error| error.to_string())?;
        Ok(Self(Secret::new(hash.to_string())))
    }

    /// Itself: for the line that is pasted, never for messages.
    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// # Errors
    /// Says what it is not, or what it would cost, and nothing else of it.
    pub(super) fn read(&self) -> Result<Hashed, String> {
        check(self.expose()).map(|()| Hashed(self.expose().into()))
    }
}

impl Hashed {
    /// Whether it is this key's. Hashes on a thread of its own, in turn; one that has begun goes on though nobody waits for it any more.
    ///
    /// # Errors
    /// `OVERLOADED` where too many wait already.
    pub(super) async fn matches(&self, key: String, places: &Places) -> Result<bool, Box<Refusal>> {
        let crowded =
            || Refusal { retry_after: Some(Duration::from_secs(1)), ..Refusal::new(OVERLOADED).rule("too many keys wait to be hashed") };
        let _place = places.0.try_acquire().map_err(|_| Box::new(crowded()))?;
        let gone = |_| Box::new(Refusal::new(INTERNAL).rule("the hashing of keys has stopped"));
        let turn = TURNS.clone().acquire_owned().await.map_err(gone)?;
        let hash = self.0.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            PasswordHash::new(&hash).is_ok_and(|hash| hasher().verify_password(key.as_bytes(), &hash).is_ok())
        });
        hashed.await.map_err(|_| Box::new(Refusal::new(INTERNAL).rule("a key could not be hashed")))
    }
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

fn check(text: &str) -> Result<(), String> {
    let form = "write it as $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH";
    let hash = PasswordHash::new(text).map_err(|_| format!("this is no hash of Argon2; {form}"))?;
    if hash.algorithm.as_str() != "argon2id" || hash.version != Some(Version::V0x13.into()) {
        return Err(format!("this is no hash of Argon2id in its version 1.3; {form}"));
    }
    let params = Params::try_from(&hash).map_err(|_| format!("this is no hash of Argon2id; {form}"))?;
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    if memory > MAX_MEMORY {
        return Err(format!("this hash takes {memory} KiB of memory for each key that is shown; {MAX_MEMORY} are the most"));
    }
    if passes > MAX_PASSES || lanes > MAX_LANES || memory.saturating_mul(passes) > MAX_WORK {
        return Err("this hash takes too long for a handshake; m=65536,t=3,p=4 is the most".to_owned());
    }
    if hash.hash.is_none_or(|hash| hash.len() < SHORTEST.0) || hash.salt.is_none_or(|salt| salt.len() < SHORTEST.1) {
        return Err(format!("this hash or its salt is missing or cut; {form}"));
    }
    Ok(())
}

/// Reads and masks a hash.
macro_rules! masked {
    ($type:ident, $name:literal, $expecting:literal, $pattern:literal) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(MASK)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(MASK)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Written;
                impl de::Visitor<'_> for Written {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        Ok($type(Secret::new(text)))
                    }
                }
                deserializer.deserialize_str(Written)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text_schema($expecting, Some($pattern))
            }
        }
    };
}

masked!(Sha256Hash, "ApiKeySha256", "a SHA-256 in hex", "^[0-9A-Fa-f]{64}$");
masked!(Argon2Hash, "ApiKeyArgon2", "a hash of Argon2id", r"^\$argon2id\$v=19\$.+$");
