//! The config: every table of the file, by kind and name, each in its own type.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::document::Document;
use super::environment::Environment;
use super::failure;
use super::fault::{Faults, KeyPath, Place, Step};
use super::mentions::Mentions;
use super::nearest::nearest;
use super::part::Part;
use super::structure::{self, GATEWAY, Named};
use super::table::{
    GatewayTable, ListenerTable, LogTable, MetricsTable, PipelineTable, Route, RouteTable, Table, TestTable, UpstreamTable,
};
use super::values::Walk;
use super::world::{Machine, World};

/// What the file says. Nothing in it has been looked up, opened or resolved.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[gateway]`.
    pub gateway: GatewayTable,
    /// `[listener.*]`.
    pub listeners: BTreeMap<String, ListenerTable>,
    /// `[route.*]`; with defaults filled in by [`Config::routes`].
    pub routes: BTreeMap<String, RouteTable>,
    /// `[upstream.*]`.
    pub upstreams: BTreeMap<String, UpstreamTable>,
    /// `[pipeline.*]`.
    pub pipelines: BTreeMap<String, PipelineTable>,
    /// `[log.*]`.
    pub logs: BTreeMap<String, LogTable>,
    /// `[metrics.*]`.
    pub metrics: BTreeMap<String, MetricsTable>,
    /// `[test.*]`.
    pub tests: BTreeMap<String, TestTable>,
    /// Every other table, by kind and name: stages and endpoints.
    pub parts: BTreeMap<(String, String), Part>,
    /// The folder that relative paths belong to.
    pub folder: PathBuf,
    declared: BTreeSet<(String, String)>,
    /// Kinds of which the file has tables whose names could not be told.
    doubtful: BTreeSet<String>,
    /// Kinds of which a table could not be read.
    unread: BTreeSet<String>,
    /// What tables name that could not be read.
    mentions: Vec<(KeyPath, Mentions)>,
}

impl Config {
    /// Reads a document whose stages and endpoints are of these kinds, with variables from this process's environment.
    ///
    /// Tables that could not be read are left out of the config, and it must not be run if the faults [refuse](Faults::refuse) it:
    /// it is there so that all faults of later steps can be told at the same time. There is none where the syntax is broken.
    pub fn read(document: &Document, part_kinds: &[&str]) -> (Option<Self>, Faults) {
        Self::read_in(document, part_kinds, &Machine)
    }

    /// [`Config::read`], with variables looked up there.
    pub fn read_in(document: &Document, part_kinds: &[&str], world: &dyn World) -> (Option<Self>, Faults) {
        let mut faults = document.faults.clone();
        let mut faulty = document.faulty.clone();
        if document.is_broken {
            return (None, faults);
        }
        let mut config = Self { folder: document.folder().to_owned(), ..Self::default() };
        let structure::Tables { named: mut tables, doubtful } = structure::union(document.roots.iter(), part_kinds, &mut faults);
        config.doubtful = doubtful;
        let mut walk = Walk { environment: Environment::new(world), faults: &mut faults, faulty: &mut faulty };
        for table in &mut tables {
            let at = table.at();
            walk.table(&mut table.node, &at);
        }
        config.declared = tables.iter().map(|table| (table.kind.clone(), table.name.clone())).collect();
        tables.into_iter().for_each(|table| config.table(table, &faulty, &mut faults));
        (Some(config), faults)
    }

    /// Whether the file has a table `[kind.name]`, even one that could not be read, or one that may be meant to be it.
    pub fn declares(&self, kind: &str, name: &str) -> bool {
        self.doubtful.contains(kind) || self.declared.contains(&(kind.to_owned(), name.to_owned()))
    }

    /// Whether every table that may be of this kind has been read: only then is what is missing really missing.
    pub fn is_whole(&self, kind: &str) -> bool {
        !self.doubtful.contains(kind) && !self.unread.contains(kind)
    }

    /// What listeners, routes and pipelines name whose tables could not be read, with where those stand.
    pub fn mentions(&self) -> &[(KeyPath, Mentions)] {
        &self.mentions
    }

    /// The names of all tables of a kind, even of those that could not be read.
    pub fn names<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let first = (kind.to_owned(), String::new());
        self.declared.range(first..).take_while(move |(of, _)| of == kind).map(|(_, name)| name.as_str())
    }

    /// The name of a table of this kind that is most likely meant by one that does not exist.
    pub fn nearest_name<'a>(&'a self, kind: &'a str, name: &str) -> Option<&'a str> {
        nearest(name, self.names(kind))
    }

    /// Every route, with its defaults filled in.
    pub fn routes(&self) -> impl Iterator<Item = Route<'_>> {
        self.routes.iter().map(|(name, table)| Route::resolve(name, table, &self.gateway.route))
    }

    /// Every stage, and every rule within one, that is in report mode.
    pub fn reporting(&self) -> Vec<KeyPath> {
        let mut found = Vec::new();
        self.parts.values().for_each(|part| part.reporting(&mut found));
        found
    }

    /// A file that the config names; relative ones belong to its folder.
    pub fn path(&self, file: &Path) -> PathBuf {
        self.folder.join(file)
    }

    fn table(&mut self, table: Named, faulty: &BTreeSet<KeyPath>, faults: &mut Faults) {
        let read = match table.kind.as_str() {
            GATEWAY => framed(&table, faulty, faults).map(|gateway| self.gateway = gateway),
            "listener" => insert(&mut self.listeners, &table, faulty, faults),
            "route" => insert(&mut self.routes, &table, faulty, faults),
            "upstream" => insert(&mut self.upstreams, &table, faulty, faults),
            "pipeline" => insert(&mut self.pipelines, &table, faulty, faults),
            "log" => insert(&mut self.logs, &table, faulty, faults),
            "metrics" => insert(&mut self.metrics, &table, faulty, faults),
            "test" => insert(&mut self.tests, &table, faulty, faults),
            _ => {
                let part = Part::of(table, faulty, faults);
                self.parts.insert((part.kind.clone(), part.name.clone()), part);
                return;
            }
        };
        let Err(faulty) = read else { return };
        if ["listener", "route", "pipeline"].contains(&table.kind.as_str()) {
            let at = table.at();
            let mentions = Mentions::read(&table.node, &at, &faulty);
            self.mentions.push((at, mentions));
        }
        self.unread.insert(table.kind);
    }
}

/// Reads a table of the frame and puts it where it belongs.
///
/// # Errors
/// What is faulty in it, where it is not whole.
fn insert<T: Table>(
    tables: &mut BTreeMap<String, T>,
    table: &Named,
    faulty: &BTreeSet<KeyPath>,
    faults: &mut Faults,
) -> Result<(), BTreeSet<KeyPath>> {
    let read = framed(table, faulty, faults)?;
    tables.insert(table.name.clone(), read);
    Ok(())
}

fn framed<T: Table>(table: &Named, faulty: &BTreeSet<KeyPath>, faults: &mut Faults) -> Result<T, BTreeSet<KeyPath>> {
    let at = table.at();
    let read = failure::read::<T>(&table.node, &at, faulty);
    let mut checked = Faults::default();
    read.table.iter().for_each(|table| table.check(&at, &mut checked));
    checked.0.retain(|fault| !is_doubtful(&fault.place, &read.faulty));
    faults.extend(read.faults);
    faults.extend(checked);
    match read.table {
        Some(table) if read.faulty.is_empty() => Ok(table),
        _ => Err(read.faulty),
    }
}

/// Whether what was found here may be so only because faulty values were passed over: below it, or in the same list.
fn is_doubtful(place: &Place, faulty: &BTreeSet<KeyPath>) -> bool {
    let (Place::Value(path) | Place::Key(path)) = place else { return false };
    let list = path.parent();
    let around = if matches!(path.steps().last(), Some(Step::Index(_))) { &list } else { path };
    faulty.iter().any(|faulty| faulty.starts_with(around))
}

#[cfg(test)]
mod tests {
    use std::env::VarError;

    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::super::part::Mode;
    use super::super::secret::SecretSource;
    use super::super::units::{Cidr, Many, Moment};
    use super::super::world::Variables;
    use super::*;

    const KINDS: [&str; 3] = ["errors", "firewall", "jwt"];

    fn read(text: &str) -> (Config, Faults) {
        let lookup = |name: &str| if name == "PORT" { Ok("9001".to_owned()) } else { Err(VarError::NotPresent) };
        let (config, faults) = Config::read_in(&Document::parse("gateway.toml", text, "/etc/wsgate"), &KINDS, &Variables(lookup));
        (config.unwrap(), faults)
    }

    fn told(faults: &Faults) -> Vec<String> {
        faults.iter().map(|fault| fault.message.clone()).collect()
    }

    /// A stage's table with a bit of everything.
    #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Firewall {
        default: String,
        allow: Many<Rule>,
        secret: Option<Many<SecretSource>>,
    }

    #[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        cidr: Cidr,
        expires: Option<Moment>,
        #[serde(default)]
        action: Action,
    }

    #[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Action {
        #[default]
        Pass,
        Tag(String),
    }

    fn part(text: &str) -> Result<Firewall, Vec<String>> {
        let (config, _) = read(text);
        let part = &config.parts[&("firewall".to_owned(), "office".to_owned())];
        part.read::<Firewall>().map_err(|faults| told(&faults))
    }

    #[test]
    fn a_part_is_read_by_its_own_type() {
        let read = part(
            "[firewall.office]\nmode = \"report\"\ndefault = \"deny\"\n\
             allow = [{ cidr = \"10.0.0.0/8\", expires = 2030-01-31T12:00:00Z }, { cidr = \"::1\", action = { tag = \"local\" } }]",
        )
        .unwrap();
        assert_eq!(read.default, "deny");
        assert_eq!(
            read.allow[0].expires.unwrap(),
            Moment::try_from("2030-01-31T12:00:00Z".parse::<toml::value::Datetime>().unwrap()).unwrap()
        );
        assert_eq!(read.allow[1].action, Action::Tag("local".to_owned()));
    }

    #[test]
    fn a_part_tells_all_its_faults_at_once() {
        let faults = part(
            "[firewall.office]\ndeny = []\n\
             allow = [{ cidr = \"203.0.113.0/2\" }, { action = \"drop\" }, [\"10.0.0.0/8\"], { cidr = \"::1\", expires = \"soon\", action = 5 }]",
        );
        let told = [
            "203.0.113.0/2 is 192.0.0.0/2, a quarter of IPv4",
            "[firewall.office] has no key `deny`",
            "[firewall.office] needs `default`",
            "`allow[1]` of [firewall.office] needs `cidr`",
            "expected a moment, found \"soon\"",
            "expected a table, found a list",
            "expected one of \"pass\", \"tag\", found \"drop\"",
            "expected one of \"pass\", \"tag\", found the number 5",
        ];
        let mut faults = faults.unwrap_err();
        faults.sort();
        assert_eq!(faults, told);
    }

    #[test]
    fn every_key_a_table_cannot_do_without_is_missed_at_once() {
        assert_eq!(part("[firewall.office]\n").unwrap_err(), ["[firewall.office] needs `default` and `allow`"]);
        let bare = Part::bare("firewall").read::<Firewall>().unwrap_err();
        assert_eq!(told(&bare), ["[firewall] needs `default` and `allow`"]);
    }

    #[test]
    fn what_has_been_told_is_not_told_again() {
        let text = "[firewall.office]\ndefault = \"deny\"\nallow = []\nsecret = [\"./key.pem\", \"${KEY}\", 5]";
        let (_, faults) = read(text);
        assert_eq!(told(&faults), ["the secret looks like the path of a file", "variables are not put into secrets"]);
        assert_eq!(part(text).unwrap_err(), ["expected a secret, found a plain value"]);
    }

    #[test]
    fn variables_are_put_into_strings_at_any_depth_and_never_into_secrets() {
        let (config, faults) = read("[upstream.a]\nservers = [{ url = \"ws://a:${PORT}\" }]\n[jwt.a]\nsecret = { env = \"PORT\" }");
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(config.upstreams["a"].servers[0].url.to_string(), "ws://a:9001");
        assert_eq!(told(&read("[jwt.a]\nsecret = \"${PORT}\"").1), ["variables are not put into secrets"]);
    }

    #[test]
    fn mode_is_taken_off_before_the_table_is_read() {
        let (config, _) = read("[errors.told]\nmode = \"report\"\n[errors.other]\n");
        let mode = |name: &str| config.parts[&("errors".to_owned(), name.to_owned())].mode;
        assert_eq!((mode("told"), mode("other")), (Mode::Report, Mode::Enforce));
    }

    #[test]
    fn every_stage_and_rule_in_report_mode_is_found() {
        let (config, _) = read(
            "[firewall.trial]\nmode = \"report\"\n[firewall.office]\nmode = \"enforce\"\n\
             deny = [\"10.0.0.0/8\", { cidr = \"192.0.2.0/24\", mode = \"report\" }]\n[errors.told]\n",
        );
        let found: Vec<String> = config.reporting().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["firewall.office.deny[1]", "firewall.trial"]);
    }

    #[test]
    fn a_table_that_could_not_be_read_is_declared_all_the_same() {
        let (config, faults) = read("[route.chat]\nendpoint = 5\n[route.echo]\nendpoint = \"echo\"");
        assert!(faults.refuse());
        assert_eq!(config.routes.keys().collect::<Vec<_>>(), ["echo"]);
        assert!(config.declares("route", "chat") && !config.declares("route", "chta"));
        assert_eq!(config.nearest_name("route", "chta"), Some("chat"));
    }

    #[test]
    fn parts_are_equal_when_their_tables_say_the_same() {
        let part = |text: &str| read(text).0.parts.into_values().next().unwrap();
        let written = part("[jwt.a]\nuser = \"sub\"\nleeway = \"30s\"");
        assert_eq!(written, part("# moved\n[jwt]\n[jwt.a]\nleeway = '30s'\nuser = \"sub\""));
        assert_ne!(written, part("[jwt.a]\nuser = \"sub\"\nleeway = \"31s\""));
    }

    #[test]
    fn the_language_reference_s_example_is_read_without_a_fault() {
        let kinds = [
            "api_key",
            "authenticated",
            "authorize",
            "client_cert",
            "echo",
            "errors",
            "firewall",
            "headers",
            "health",
            "jwt",
            "message",
            "origin",
            "rate_limit",
            "revoked",
        ];
        let document = Document::parse("gateway.toml", include_str!("../../tests/whole.toml"), "/etc/wsgate");
        let (config, faults) = Config::read(&document, &kinds);
        assert!(faults.is_empty(), "{}", super::super::render(&document, &faults, false));
        let config = config.unwrap();
        assert_eq!(
            config.routes().map(|route| route.name.to_owned()).collect::<Vec<_>>(),
            ["chat", "echo", "far", "health", "secure", "words"]
        );
        assert_eq!(config.path(Path::new("websocket_errors.log")), Path::new("/etc/wsgate/websocket_errors.log"));
    }
}
