//! `${NAME}` in strings of the file: variables of the environment, put in after parsing.

use std::env::VarError;

use super::fault::{Fault, KeyPath};
use super::world::World;

/// The most that variables may add to a file, in bytes.
const MAX_ADDED: usize = 4 << 20;

/// Puts variables into the strings of one file.
pub(super) struct Environment<'a> {
    world: &'a dyn World,
    room: usize,
}

/// Whether a string asks for a variable, or has `$${` for a plain `${`.
pub(super) fn is_asked_for(text: &str) -> bool {
    text.contains("${")
}

impl<'a> Environment<'a> {
    /// Looks variables up there.
    pub(super) fn new(world: &'a dyn World) -> Self {
        Self { world, room: MAX_ADDED }
    }

    /// The text at this path with every variable put in, once: what a variable holds is not looked at again.
    ///
    /// # Errors
    /// A fault there.
    pub(super) fn fill(&mut self, text: &str, at: &KeyPath) -> Result<String, Fault> {
        let wrong = |why: String| Fault::said(at.clone(), &why);
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                filled.push_str(before);
                filled.push_str("${");
                rest = after;
                continue;
            }
            filled.push_str(before);
            let closed = after.split_once('}').ok_or("`${` is never closed; write ${NAME}, or $${ for a plain ${".to_owned());
            let (name, after) = closed.map_err(wrong)?;
            let value = self.value(name).map_err(wrong)?;
            filled.push_str(&value.ok_or_else(|| Fault::unknown(at.clone(), format!("the variable {name}")))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// A variable; `None` where it is not to be looked up.
    fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        if !is_name(name) {
            let name = name.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next().filter(|name| is_name(name)).unwrap_or("NAME");
            return Err(format!("`${{` takes the name of a variable and nothing else; write ${{{name}}}"));
        }
        let Some(found) = self.world.variable(name) else { return Ok(None) };
        let value = found.map_err(|error| match error {
            VarError::NotPresent => format!("the environment has no {name}; set it, or write the value here"),
            VarError::NotUnicode(_) => format!("{name} in the environment is not UTF-8 text"),
        })?;
        self.room = self.room.checked_sub(value.len()).ok_or("the variables of this file add up to more than 4 MiB")?;
        Ok(Some(value))
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic()) && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::super::world::{Offline, Variables};
    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "HOST" => Ok("chat.internal".to_owned()),
            "NESTED" => Ok("${HOST}".to_owned()),
            "LARGE" => Ok("x".repeat(3 << 20)),
            _ => Err(VarError::NotPresent),
        };
        Environment::new(&Variables(lookup)).fill(text, &KeyPath::default()).map_err(|fault| fault.message)
    }

    #[test]
    fn a_variable_is_put_in_once() {
        for (text, filled) in [
            ("ws://${HOST}:9001", "ws://chat.internal:9001"),
            ("${HOST}${HOST}", "chat.internalchat.internal"),
            ("${NESTED}", "${HOST}"),
            ("$${HOST} costs $5", "${HOST} costs $5"),
            ("plain", "plain"),
        ] {
            assert_eq!(fill(text).unwrap(), filled);
        }
    }

    #[test]
    fn what_cannot_be_put_in_says_why() {
        for (text, said) in [
            ("${MISSING}", "the environment has no MISSING"),
            ("${HOST", "`${` is never closed"),
            ("${}", "`${` takes the name of a variable and nothing else"),
            ("${HOST:-localhost}", "`${` takes the name of a variable and nothing else"),
            ("${LARGE}${LARGE}", "the variables of this file add up to more than 4 MiB"),
        ] {
            assert_eq!(fill(text).unwrap_err(), said);
        }
    }

    #[test]
    fn a_variable_that_is_not_looked_up_is_unknown_and_what_is_no_variable_is_wrong() {
        let fill = |text| Environment::new(&Offline).fill(text, &KeyPath::default());
        assert_eq!(fill("plain").unwrap(), "plain");
        assert_eq!(fill("ws://${HOST}").unwrap_err(), Fault::unknown(KeyPath::default(), "the variable HOST"));
        assert_eq!(fill("${HOST").unwrap_err().message, "`${` is never closed");
    }
}
