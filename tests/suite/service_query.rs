//! Questions over gRPC against a scan of every entry, each answer proved, and a server that lies about them.

use graven::entry::genesis::Genesis;
use graven::entry::{json, v1};
use graven::index::Facts;
use graven::index::filter::{Filter, Truth};
use graven::service::client::{LedgerServiceClient, QueryServiceClient};
use graven::verify::{Finding, ProvedPage, Question, verify_page};
use tonic::transport::Channel;

use super::ledger_support::Random;
use super::service_support::{TestServer, verifier};

/// A server with a history, its index sealed.
pub(super) struct Asked {
    pub(super) server: TestServer,
    pub(super) query: QueryServiceClient<Channel>,
    pub(super) genesis: Genesis,
    pub(super) facts: Vec<Facts>,
}

pub(super) fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len() as u64) as usize]
}

/// An event with few different values, so that filters match some and not all.
pub(super) fn event(random: &mut Random, number: u64) -> v1::Event {
    let actor = pick(
        random,
        &["oidc:corp/alice", "oidc:corp/bob", "oidc:corp/mallory", ""],
    );
    let digest = |n: u64| v1::Version {
        ids: vec![format!("sha256:{n:064x}")],
        ..Default::default()
    };
    let file = random.below(40);
    let target = v1::Target {
        uri: format!("fs://lustre-1/train/file-{file:02}.py"),
        owner: pick(random, &["", "oidc:corp/alice", "oidc:corp/bob"]).into(),
        before: (random.below(3) > 0).then(|| digest(random.below(50))),
        after: Some(digest(number)),
        ..Default::default()
    };
    v1::Event {
        who: Some(v1::Who {
            actor: actor.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: pick(random, &["file.update", "file.delete", "job.cancel"]).into(),
            outcome: random.below(4) as i32,
            targets: vec![target],
            run: (random.below(2) == 0).then(|| v1::Run {
                id: format!("run-{}", random.below(9)),
                gpus: Some(8 << random.below(6)),
                ..Default::default()
            }),
            ..Default::default()
        }),
        context: Some(v1::Context {
            source: pick(random, &["agent:one", "agent:two"]).into(),
            occurred_at: Some(1_700_000_000_000_000_000 + number as i64 * 60_000_000_000),
            ..Default::default()
        }),
        why: (random.below(3) == 0).then(|| v1::Why {
            ticket: format!("T-{}", random.below(20)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl Asked {
    /// A server with `events` random events, and every full segment sealed.
    async fn new(events: u64) -> Self {
        let mut random = Random(events);
        let events = (0..events).map(|number| event(&mut random, number));
        Self::with(events.collect()).await
    }

    /// A server with these events in batches, and every full segment sealed.
    pub(super) async fn with(events: Vec<v1::Event>) -> Self {
        let server = TestServer::start().await;
        let mut client = LedgerServiceClient::connect(server.url.clone())
            .await
            .unwrap();
        for batch in events.chunks(500) {
            let request = v1::AppendBatchRequest {
                events: batch.to_vec(),
                ..Default::default()
            };
            client.append_batch(request).await.unwrap();
        }
        let events = events.len() as u64;
        let query = QueryServiceClient::connect(server.url.clone())
            .await
            .unwrap()
            .max_decoding_message_size(16 * 1024 * 1024);
        let genesis = client
            .get_genesis(v1::GetGenesisRequest {})
            .await
            .unwrap()
            .into_inner();
        let genesis = Genesis::decode(&genesis.descriptor).unwrap();
        let mut asked = Self {
            server,
            query,
            genesis,
            facts: Vec::new(),
        };
        asked.wait_for_seal(events / 1024 * 1024).await;
        asked.read_facts();
        asked
    }

    async fn wait_for_seal(&mut self, covered: u64) {
        for _ in 0..1_000 {
            let page = self.prove("seq < 1", 0..1, false, 0, 1).await.unwrap();
            if page.seal.map_or(0, |(_, covered)| covered) >= covered {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the index was not sealed up to {covered}");
    }

    fn read_facts(&mut self) {
        let ledger = &self.server.ledger;
        let size = ledger.published().size();
        self.facts = (0..size)
            .map(|seq| ledger.entry(seq).unwrap().facts().unwrap())
            .collect();
    }

    /// Asks for one page with its proof, and checks it.
    async fn prove(
        &mut self,
        filter: &str,
        range: std::ops::Range<u64>,
        descending: bool,
        size: u64,
        page_size: u32,
    ) -> Result<ProvedPage, Finding> {
        let request = request(filter, &range, descending, size, page_size, true);
        let page = self.query.search(request).await.unwrap().into_inner();
        self.verify(filter, range, descending, size, &page)
    }

    fn verify(
        &self,
        filter: &str,
        open: std::ops::Range<u64>,
        descending: bool,
        size: u64,
        page: &v1::SearchResponse,
    ) -> Result<ProvedPage, Finding> {
        let question = Question {
            genesis: &self.genesis,
            key: &verifier(),
            filter: &Filter::parse(filter).unwrap(),
            descending,
            open,
            size: (size > 0).then_some(size),
        };
        verify_page(&question, page)
    }

    /// What a scan of every entry below `size` finds.
    fn scan(&self, filter: &str, range: &std::ops::Range<u64>, size: u64) -> Vec<u64> {
        let filter = Filter::parse(filter).unwrap();
        let facts = self.facts.iter().take(size as usize);
        facts
            .filter(|facts| range.contains(&facts.header.seq))
            .filter(|facts| filter.evaluate(facts) == Truth::True)
            .map(|facts| facts.header.seq)
            .collect()
    }

    /// Every match by proved pages, ascending.
    async fn all_proved(
        &mut self,
        filter: &str,
        range: std::ops::Range<u64>,
        descending: bool,
        size: u64,
        page_size: u32,
    ) -> Vec<u64> {
        let mut open = range;
        let mut found = Vec::new();
        while open.start < open.end.min(size) {
            let page = self
                .prove(filter, open.clone(), descending, size, page_size)
                .await;
            let page = page.unwrap_or_else(|finding| panic!("{filter}: {finding}"));
            assert!(page.unknown.is_empty());
            let seqs = page.matches.iter().map(|(header, _)| header.seq);
            assert!(seqs.len() <= page_size as usize);
            found.extend(seqs);
            open = if descending {
                open.start..page.window.start
            } else {
                page.window.end..open.end
            };
        }
        found.sort_unstable();
        found
    }

    /// Every match by plain pages, in the order asked for.
    async fn all_plain(
        &mut self,
        filter: &str,
        range: &std::ops::Range<u64>,
        descending: bool,
        size: u64,
        page_size: u32,
    ) -> Vec<u64> {
        let mut request = request(filter, range, descending, size, page_size, false);
        let mut found = Vec::new();
        loop {
            let page = self
                .query
                .search(request.clone())
                .await
                .unwrap()
                .into_inner();
            found.extend(
                page.entries
                    .iter()
                    .map(|entry| graven::entry::Header::decode(&entry.header).unwrap().seq),
            );
            if page.next_page_token.is_empty() {
                return found;
            }
            request.page_token = page.next_page_token;
        }
    }
}

fn request(
    filter: &str,
    range: &std::ops::Range<u64>,
    descending: bool,
    size: u64,
    page_size: u32,
    prove: bool,
) -> v1::SearchRequest {
    let order = if descending {
        v1::Order::Descending
    } else {
        v1::Order::Ascending
    };
    v1::SearchRequest {
        filter: filter.into(),
        order: order.into(),
        page_size,
        size,
        start: range.start,
        end: if range.end == u64::MAX { 0 } else { range.end },
        prove,
        ..Default::default()
    }
}

fn random_test(random: &mut Random) -> String {
    let n = random.below(60);
    match random.below(16) {
        0 => format!(
            "actor = {}",
            pick(random, &["oidc:corp/alice", "oidc:corp/nobody"])
        ),
        1 => "actor:*".into(),
        2 => format!(
            "action = {}",
            pick(random, &["file.update", "job.cancel", "file.*"])
        ),
        3 => format!("target = fs://lustre-1/train/file-{:02}.py", n % 45),
        4 => format!("target = fs://lustre-1/train/file-{}*", n % 5),
        5 => format!("after = sha256:{:064x}", random.below(4_000)),
        6 => format!("digest = {:064x}", n),
        7 => format!(
            "gpus {} {}",
            pick(random, &["<", ">=", "=", "!="]),
            8 << (n % 7)
        ),
        8 => format!("outcome = {}", pick(random, &["success", "denied"])),
        9 => format!("run != run-{}", n % 10),
        10 => "foreign = true".into(),
        11 => format!("ticket = T-{}", n % 25),
        12 => format!(
            "seq {} {}",
            pick(random, &["<", ">", "="]),
            random.below(4_000)
        ),
        13 => format!(
            "occurred_at {} 2023-11-1{}T12:34:56Z",
            pick(random, &["<", ">="]),
            4 + n % 4
        ),
        14 => format!("kind = {}", pick(random, &["event", "seal"])),
        _ => format!("\"file-{:02}\"", n % 45),
    }
}

pub(super) fn random_filter(random: &mut Random, depth: u32) -> String {
    if depth == 0 || random.below(3) == 0 {
        return random_test(random);
    }
    let mut inner = || random_filter(random, depth - 1);
    let (a, b, c) = (inner(), inner(), inner());
    match random.below(4) {
        0 => format!("({a}) AND ({b})"),
        1 => format!("({a}) OR ({b})"),
        2 => format!("({a}) AND NOT ({b})"),
        _ => format!("({a}) AND ({b}) OR NOT ({c})"),
    }
}

/// How many questions are asked over the network; those in one process are in `query_battery`.
pub(super) fn queries() -> u64 {
    let asked = std::env::var("GRAVEN_SERVED_QUERIES").ok();
    asked.map_or(150, |queries| {
        queries.parse().expect("GRAVEN_SERVED_QUERIES is a number")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn random_questions_are_answered_as_a_scan_answers_them_and_proved() {
    let mut asked = Asked::new(3_500).await;
    let size = asked.facts.len() as u64;
    let mut random = Random(7);
    let mut matched = 0;
    for _ in 0..queries() {
        let filter = random_filter(&mut random, 3);
        let descending = random.below(2) == 0;
        let at = if random.below(3) == 0 {
            1 + random.below(size)
        } else {
            size
        };
        let range = match random.below(3) {
            0 => 0..u64::MAX,
            1 => random.below(size)..u64::MAX,
            _ => {
                let start = random.below(size);
                start..start + random.below(1_500)
            }
        };
        let page_size = 1 + random.below(400) as u32;
        let expected = asked.scan(&filter, &range, at);
        matched += expected.len();
        let proved = asked
            .all_proved(&filter, range.clone(), descending, at, page_size)
            .await;
        assert_eq!(proved, expected, "{filter} in {range:?} at {at}");
        let mut plain = asked
            .all_plain(&filter, &range, descending, at, page_size)
            .await;
        assert!(
            plain.is_sorted_by(|a, b| if descending { a > b } else { a < b }),
            "{filter}"
        );
        plain.sort_unstable();
        assert_eq!(plain, expected, "{filter} in {range:?} at {at}");
    }
    assert!(matched > 1_000, "only {matched} matches");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_bound_an_answer_and_are_proved() {
    let mut asked = Asked::new(2_500).await;
    let size = asked.facts.len() as u64;
    let time = |seq: usize| {
        let nanos = i128::from(asked.facts[seq].header.recorded_at);
        jiff_text(nanos)
    };
    let (early, late) = (time(700), time(2_100));
    let filters = [
        format!("recorded_at >= {early}"),
        format!("recorded_at < {late}"),
        format!("recorded_at >= {early} AND recorded_at < {late} AND action = job.cancel"),
        format!("recorded_at > {late} recorded_at < {early}"),
        "recorded_at > 2200-01-01".to_owned(),
        "recorded_at < 1980-01-01".to_owned(),
    ];
    for filter in &filters {
        let expected = asked.scan(filter, &(0..u64::MAX), size);
        for descending in [false, true] {
            let proved = asked
                .all_proved(filter, 0..u64::MAX, descending, size, 300)
                .await;
            assert_eq!(proved, expected, "{filter}");
        }
    }
}

pub(super) fn jiff_text(nanos: i128) -> String {
    let event = v1::Event {
        context: Some(v1::Context {
            occurred_at: Some(nanos as i64),
            ..Default::default()
        }),
        ..Default::default()
    };
    let (header, body) = super::entry_support::seal_parts(
        &super::entry_support::envelope(),
        vec![(
            graven::entry::Tag::Context,
            prost::Message::encode_to_vec(&event.context.unwrap()).into(),
        )],
    );
    json::Row::new(&header, &body).unwrap().occurred_at.unwrap()
}

/// Every way to lie that changes one thing of an answer.
fn lies(page: &v1::SearchResponse) -> Vec<(String, v1::SearchResponse)> {
    let mut lies = Vec::new();
    let mut lie = |what: String, edit: &dyn Fn(&mut v1::SearchResponse)| {
        let mut false_page = page.clone();
        edit(&mut false_page);
        if false_page != *page {
            lies.push((what, false_page));
        }
    };
    fn proof(page: &mut v1::SearchResponse) -> &mut v1::SearchProof {
        page.proof.as_mut().unwrap()
    }
    lie("no proof".into(), &|p| p.proof = None);
    lie("start + 1".into(), &|p| p.start += 1);
    lie("end - 1".into(), &|p| p.end -= 1);
    lie("end + 1".into(), &|p| p.end += 1);
    lie("size - 1".into(), &|p| p.size -= 1);
    lie("another checkpoint".into(), &|p| {
        p.checkpoint = p
            .checkpoint
            .replace(&p.size.to_string(), &(p.size - 1).to_string());
    });
    lie("no entries".into(), &|p| p.entries.clear());
    lie("no entries and no runs".into(), &|p| {
        p.entries.clear();
        proof(p).runs.clear();
    });
    lie("entries reversed".into(), &|p| p.entries.reverse());
    let some = 1 + page.entries.len() / 12;
    for index in (0..page.entries.len()).step_by(some) {
        lie(format!("entry {index} hidden"), &|p| {
            drop(p.entries.remove(index))
        });
        lie(format!("entry {index} twice"), &|p| {
            let entry = p.entries[index].clone();
            p.entries.insert(index, entry);
        });
        lie(format!("entry {index} with another actor"), &|p| {
            for part in &mut p.entries[index].parts {
                if let Some(v1::part::Content::Disclosed(shown)) = &mut part.content {
                    flip_last(shown);
                }
            }
        });
        lie(format!("entry {index} withheld"), &|p| {
            p.entries[index].parts.retain(|part| part.tag != 3);
        });
        lie(format!("entry {index} of another time"), &|p| {
            p.entries[index].header[15] ^= 1
        });
    }
    lie("no seal".into(), &|p| proof(p).seal = None);
    lie("no seal, no segments".into(), &|p| {
        let proof = proof(p);
        proof.seal = None;
        proof.segments.clear();
        proof.levels.clear();
    });
    lie("an entry for the seal".into(), &|p| {
        let entry = p.entries.first().cloned();
        proof(p).seal = entry;
    });
    lie("a seal with another root".into(), &|p| {
        for part in &mut proof(p).seal.as_mut().unwrap().parts {
            if let (3, Some(v1::part::Content::Disclosed(shown))) = (part.tag, &mut part.content) {
                flip_last(shown);
            }
        }
    });
    let count = page.proof.as_ref().unwrap().segments.len();
    for index in 0..count {
        lie(format!("segment {index} hidden"), &|p| {
            drop(proof(p).segments.remove(index))
        });
        lie(format!("segment {index} with more terms"), &|p| {
            proof(p).segments[index].terms += 16
        });
        lie(format!("segment {index} with another root"), &|p| {
            proof(p).segments[index].root[0] ^= 1;
        });
        lie(format!("segment {index} for its neighbour"), &|p| {
            let other = proof(p).segments[(index + 1) % count].clone();
            proof(p).segments[index] = other;
        });
        let ranges = page.proof.as_ref().unwrap().segments[index].ranges.len();
        for range in 0..ranges {
            lie(format!("segment {index} range {range} hidden"), &|p| {
                drop(proof(p).segments[index].ranges.remove(range));
            });
            lie(format!("segment {index} range {range} empty"), &|p| {
                proof(p).segments[index].ranges[range] = v1::TermProof::default();
            });
            lie(
                format!("segment {index} range {range} of other leaves"),
                &|p| {
                    proof(p).segments[index].ranges[range].first_leaf += 1;
                },
            );
            lie(format!("segment {index} range {range} shortened"), &|p| {
                let leaf = &mut proof(p).segments[index].ranges[range].leaves[0];
                let last = leaf.len() - 1;
                leaf[last] ^= 1;
            });
            lie(
                format!("segment {index} range {range} with false hashes"),
                &|p| {
                    if let Some(byte) = proof(p).segments[index].ranges[range].hashes.first_mut() {
                        *byte ^= 1;
                    }
                },
            );
        }
    }
    for index in 0..page.proof.as_ref().unwrap().levels.len() {
        lie(format!("level {index} hidden"), &|p| {
            drop(proof(p).levels.remove(index))
        });
        lie(format!("level {index} renamed"), &|p| {
            proof(p).levels[index].level += 1
        });
        lie(format!("level {index} with false hashes"), &|p| {
            if let Some(byte) = proof(p).levels[index].hashes.first_mut() {
                *byte ^= 1;
            }
        });
    }
    let runs = page.proof.as_ref().unwrap().runs.len();
    for index in (0..runs).step_by(1 + runs / 12) {
        lie(format!("run {index} hidden"), &|p| {
            drop(proof(p).runs.remove(index))
        });
        lie(format!("run {index} with false hashes"), &|p| {
            if let Some(byte) = proof(p).runs[index].hashes.first_mut() {
                *byte ^= 1;
            }
        });
    }
    lie("a bound in time".into(), &|p| {
        let header = p
            .entries
            .first()
            .map_or_else(Vec::new, |entry| entry.header.clone());
        let inclusion = Vec::new();
        proof(p).earlier = Some(v1::BoundProof { header, inclusion });
    });
    lies
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lie_about_an_answer_is_believed() {
    let mut asked = Asked::new(3_300).await;
    let size = asked.facts.len() as u64;
    let mut tried = 0;
    let questions = [
        (
            "actor = oidc:corp/mallory AND target = fs://lustre-1/train/file-07.py",
            0..3_000,
        ),
        (
            "digest = 000000000000000000000000000000000000000000000000000000000000000a",
            0..u64::MAX,
        ),
        ("actor = oidc:corp/nobody", 0..3_000),
        (
            "run = run-3 AND NOT action = file.update AND foreign = true",
            900..1_100,
        ),
        (
            "ticket = T-3 AND gpus > 100 AND outcome = denied",
            1_000..2_100,
        ),
    ];
    for (filter, range) in questions {
        let request = request(filter, &range, false, size, 1_000, true);
        let page = asked.query.search(request).await.unwrap().into_inner();
        let proved = asked
            .verify(filter, range.clone(), false, size, &page)
            .unwrap();
        assert_eq!(
            proved
                .matches
                .iter()
                .map(|(header, _)| header.seq)
                .collect::<Vec<_>>(),
            asked.scan(filter, &proved.window, size),
        );
        for (what, false_page) in lies(&page) {
            let believed = asked.verify(filter, range.clone(), false, size, &false_page);
            tried += 1;
            if let Ok(believed) = believed {
                // To answer for fewer entries, or to show more of them, is no lie as long as the answer is right.
                let found: Vec<u64> = believed
                    .matches
                    .iter()
                    .map(|(header, _)| header.seq)
                    .collect();
                let scanned = asked.scan(filter, &believed.window, believed.size);
                assert_eq!(found, scanned, "{filter}: {what} changed the answer");
                assert_eq!(believed.size, proved.size, "{filter}: {what}");
            }
        }
    }
    assert!(tried > 500, "only {tried} lies were told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_is_for_one_question() {
    let mut asked = Asked::new(1_500).await;
    let first = request("action = file.update", &(0..u64::MAX), false, 0, 10, false);
    let page = asked
        .query
        .search(first.clone())
        .await
        .unwrap()
        .into_inner();
    let token = page.next_page_token;
    let next = v1::SearchRequest {
        page_token: token.clone(),
        ..first.clone()
    };
    assert!(asked.query.search(next.clone()).await.is_ok());
    let others = [
        v1::SearchRequest {
            filter: "action = file.delete".into(),
            ..next.clone()
        },
        v1::SearchRequest {
            order: v1::Order::Descending.into(),
            ..next.clone()
        },
        v1::SearchRequest {
            start: 3,
            ..next.clone()
        },
        v1::SearchRequest {
            size: 7,
            ..next.clone()
        },
        v1::SearchRequest {
            page_token: "AAAA".into(),
            ..next.clone()
        },
        v1::SearchRequest {
            page_token: "not base64!".into(),
            ..next.clone()
        },
    ];
    for other in others {
        let refused = asked.query.search(other).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(refused.message().contains("page_token"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_questions_are_refused_by_name() {
    let mut asked = Asked::new(10).await;
    let plain = request("", &(0..u64::MAX), false, 0, 10, false);
    let cases = [
        (
            v1::SearchRequest {
                filter: "acter = x".into(),
                ..plain.clone()
            },
            "did you mean actor",
        ),
        (
            v1::SearchRequest {
                filter: "(".repeat(20_000),
                ..plain.clone()
            },
            "16384",
        ),
        (
            v1::SearchRequest {
                page_size: 1_001,
                ..plain.clone()
            },
            "page_size",
        ),
        (
            v1::SearchRequest {
                size: 99,
                ..plain.clone()
            },
            "beyond",
        ),
        (
            v1::SearchRequest {
                start: 5,
                end: 3,
                ..plain.clone()
            },
            "start",
        ),
    ];
    for (request, message) in cases {
        let refused = asked.query.search(request).await.unwrap_err();
        assert!(refused.message().contains(message), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_shows_what_can_be_erased_of_possible_matches_alone() {
    let mut asked = Asked::new(60).await;
    for (filter, descending, some_cannot_match) in [
        ("action = job.cancel", false, true),
        ("action = job.cancel AND ticket = T-1", true, true),
        ("NOT action = job.cancel OR ticket = T-1", false, false),
    ] {
        let request = v1::SearchRequest {
            filter: filter.into(),
            prove: true,
            order: if descending {
                v1::Order::Descending.into()
            } else {
                v1::Order::Ascending.into()
            },
            page_size: 1_000,
            ..Default::default()
        };
        let page = asked.query.search(request).await.unwrap().into_inner();
        let parsed = Filter::parse(filter).unwrap();
        let mut withheld = 0;
        for (entry, facts) in page.entries.iter().zip(&asked.facts) {
            let hidden = entry.parts.iter().find(|part| part.tag == 5);
            let hidden = hidden
                .is_some_and(|part| matches!(part.content, Some(v1::part::Content::Withheld(_))));
            assert!(
                !hidden || parsed.evaluate(facts) == Truth::False,
                "{filter}"
            );
            withheld += u32::from(hidden);
        }
        assert_eq!(withheld > 0, some_cannot_match, "{filter}");
        let proved = asked.prove(filter, 0..u64::MAX, descending, 0, 1_000);
        let matches = proved.await.unwrap().matches.len();
        let expected = asked
            .facts
            .iter()
            .filter(|facts| parsed.evaluate(facts) == Truth::True);
        assert_eq!(matches, expected.count(), "{filter}");
    }
}

/// Alters the last byte of a part, if it has one.
fn flip_last(shown: &mut v1::DisclosedPart) {
    let mut encoded = shown.encoded.to_vec();
    if let Some(byte) = encoded.last_mut() {
        *byte ^= 1;
    }
    shown.encoded = encoded.into();
}
