//! Sets of times, as stretches that do not touch.

/// A set of times: nanoseconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Times {
    /// Ascending, apart from each other, none empty.
    spans: Vec<Span>,
}

/// The times from `from` until before `to`. Without an end it has no bound there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// The first time; none when there is no bound.
    pub from: Option<i64>,
    /// Behind the last time; none when there is no bound.
    pub to: Option<i64>,
}

impl Span {
    /// Every time.
    pub const ALWAYS: Self = Self {
        from: None,
        to: None,
    };

    fn is_empty(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if to <= from)
    }

    /// Whether a time lies in it.
    pub fn contains(&self, time: i64) -> bool {
        self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time < to)
    }

    /// Whether all of `other` lies in it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let until = match (self.to, other.to) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(to), Some(other)) => other <= to,
        };
        // None is below every time.
        self.from <= other.from && until
    }

    /// Whether the other begins within it or right behind it.
    fn reaches(&self, other: &Self) -> bool {
        match (self.to, other.from) {
            (Some(to), Some(from)) => from <= to,
            _ => true,
        }
    }
}

impl Times {
    /// Its stretches, ascending, apart from each other.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Whether there is no time in it.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether a time is one of them.
    pub fn contains(&self, time: i64) -> bool {
        self.spans.iter().any(|span| span.contains(time))
    }

    /// The times of all these stretches.
    pub fn of(mut spans: Vec<Span>) -> Self {
        spans.retain(|span| !span.is_empty());
        // None is below every time.
        spans.sort_unstable_by_key(|span| span.from);
        let mut apart: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match apart.last_mut() {
                Some(last) if last.reaches(&span) => {
                    last.to = match (last.to, span.to) {
                        (Some(a), Some(b)) => Some(a.max(b)),
                        _ => None,
                    };
                }
                _ => apart.push(span),
            }
        }
        Self { spans: apart }
    }
}
