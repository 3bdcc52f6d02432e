//! Which roles a call takes: one line for every method of every service. What has no line is refused, and a test that
//! reads the descriptors fails.

use super::Role::{self, Auditor, Operator, Reader, Writer};

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Whoever reaches the port, known or not.
    Anybody,
    /// Whoever has one of these roles.
    Roles(&'static [Role]),
}

const APPEND: Rule = Rule::Roles(&[Writer]);
const READ: Rule = Rule::Roles(&[Reader, Auditor]);
const OPERATE: Rule = Rule::Roles(&[Operator]);
/// Hashes and signatures: they say nothing about what is in the entries.
const PROOFS: Rule = Rule::Roles(&[Writer, Reader, Auditor, Operator]);

const RULES: [(&str, Rule); 24] = [
    ("/graven.v1.LedgerService/Append", APPEND),
    ("/graven.v1.LedgerService/AppendBatch", APPEND),
    ("/graven.v1.LedgerService/AppendStream", APPEND),
    ("/graven.v1.LedgerService/GetEntry", READ),
    ("/graven.v1.LedgerService/ListEntries", READ),
    ("/graven.v1.LedgerService/WatchEntries", READ),
    ("/graven.v1.LedgerService/GetCheckpoint", PROOFS),
    // Entry 0 comes with it, with its parts withheld from who may not read it.
    ("/graven.v1.LedgerService/GetGenesis", PROOFS),
    ("/graven.v1.LedgerService/GetInclusionProof", PROOFS),
    ("/graven.v1.LedgerService/GetConsistencyProof", PROOFS),
    ("/graven.v1.QueryService/Search", READ),
    ("/graven.v1.QueryService/Count", READ),
    ("/graven.v1.QueryService/Watch", READ),
    ("/graven.v1.QueryService/GetHistory", READ),
    ("/graven.v1.QueryService/GetLineage", READ),
    ("/graven.v1.QueryService/GetSegment", READ),
    ("/graven.v1.AdminService/Erase", OPERATE),
    ("/graven.v1.AdminService/PlaceHold", OPERATE),
    ("/graven.v1.AdminService/ReleaseHold", OPERATE),
    ("/graven.v1.AdminService/ListHolds", OPERATE),
    ("/graven.v1.AdminService/BackUp", OPERATE),
    // Load balancers and supervisors have no credentials.
    ("/grpc.health.v1.Health/Check", Rule::Anybody),
    ("/grpc.health.v1.Health/Watch", Rule::Anybody),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        PROOFS,
    ),
];

/// The rule for the call at `path` (`/package.Service/Method`), if there is one.
pub fn rule(path: &str) -> Option<Rule> {
    RULES
        .iter()
        .find(|(known, _)| *known == path)
        .map(|(_, rule)| *rule)
}

/// Whether `role` makes the call at `path`.
pub fn allowed(role: Role, path: &str) -> bool {
    match rule(path) {
        Some(Rule::Anybody) => true,
        Some(Rule::Roles(roles)) => roles.contains(&role),
        None => false,
    }
}

/// The paths of all calls.
pub fn methods() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(path, _)| *path)
}
