use super::checkpoint::Checkpoint;
use super::key::VerifierKey;
use super::policy_file::PolicyError;
use super::signed::{Note, NoteError};

/// A log that a policy accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its key, named after its origin.
    pub key: VerifierKey,
    /// Where to reach it; what is there depends on the application.
    pub url: Option<String>,
}

/// A witness that a policy knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its key, of type [`CosignatureV1`](super::SignatureType::CosignatureV1).
    pub key: VerifierKey,
    /// Where to reach it; usually the submission prefix of tlog-witness.
    pub url: Option<String>,
}

/// Which checkpoints to accept: signed by a listed log, and cosigned by enough witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(super) logs: Vec<Log>,
    /// Members of a group stand before it.
    pub(super) parties: Vec<Party>,
    pub(super) quorum: Quorum,
}

/// Who must have witnessed a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quorum {
    Nobody,
    /// The party with this index.
    Party(usize),
}

/// What a policy gives a name to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Party {
    Witness(Box<Witness>),
    Group {
        /// How many of the members must have witnessed, at least 1.
        threshold: usize,
        /// Indices of parties.
        members: Vec<usize>,
    },
}

impl Policy {
    /// One log, and no witnesses asked for.
    pub fn of_log(key: VerifierKey) -> Self {
        Self {
            logs: vec![Log { key, url: None }],
            parties: Vec::new(),
            quorum: Quorum::Nobody,
        }
    }

    /// The logs it accepts.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// All witnesses it knows, whether or not the quorum needs them.
    pub fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.parties.iter().filter_map(|party| match party {
            Party::Witness(witness) => Some(witness.as_ref()),
            Party::Group { .. } => None,
        })
    }

    /// Accepts a note as a checkpoint of one of the listed logs, cosigned by the quorum.
    pub fn check(&self, note: &Note) -> Result<Checkpoint, PolicyError> {
        // The origin only selects keys here; nothing is believed before a signature verifies.
        let origin = note.text().split('\n').next().unwrap_or_default();
        let mut refusal = PolicyError::UnknownLog {
            origin: origin.to_owned(),
        };
        for log in self.logs.iter().filter(|log| log.key.name() == origin) {
            match self.check_log(note, &log.key) {
                // A log may be listed with its old and its new key.
                Err(PolicyError::Note(NoteError::Unsigned)) => {
                    refusal = NoteError::Unsigned.into();
                }
                result => return result,
            }
        }
        Err(refusal)
    }

    /// Accepts a note as a checkpoint of the log with `key`, cosigned by the quorum.
    ///
    /// For logs known from elsewhere than the policy. Its origin must be the name of its key.
    pub fn check_log(&self, note: &Note, key: &VerifierKey) -> Result<Checkpoint, PolicyError> {
        let checkpoint = Checkpoint::open_note(note, key.name(), key)?;
        // Even if none are asked for, a bad signature by a known key refuses the note.
        let cosigners = self.cosigners(note, key)?;
        if !self.reached_by(&cosigners) {
            return Err(PolicyError::QuorumNotReached {
                cosigned: cosigners.len(),
            });
        }
        Ok(checkpoint)
    }

    /// Keys of the known witnesses that cosigned, each once. The log's own key is none.
    fn cosigners(&self, note: &Note, log: &VerifierKey) -> Result<Vec<VerifierKey>, NoteError> {
        let others = self
            .witnesses()
            .filter(|known| known.key.public_key() != log.public_key());
        let keys: Vec<_> = others.map(|witness| witness.key.clone()).collect();
        match note.verify(&keys) {
            Ok(verified) => Ok(verified.into_iter().map(|by| by.key.clone()).collect()),
            Err(NoteError::Unsigned) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn reached_by(&self, cosigners: &[VerifierKey]) -> bool {
        let Quorum::Party(quorum) = self.quorum else {
            return true;
        };
        let mut reached: Vec<bool> = Vec::with_capacity(self.parties.len());
        for party in &self.parties {
            reached.push(match party {
                Party::Witness(witness) => cosigners.contains(&witness.key),
                Party::Group { threshold, members } => {
                    let count = members
                        .iter()
                        .filter(|member| reached.get(**member) == Some(&true));
                    count.count() >= *threshold
                }
            });
        }
        reached.get(quorum) == Some(&true)
    }
}
