//! A reply put together from what a model says, at once or piece by piece.

use std::mem;

use crate::adapter::hub::{CallPiece, Calls, Said};
use crate::api::execute::{
    Attempt, ExecuteEvent, ExecuteReply, ExecuteUsage, Output, TextDelta, ToolCall, ToolCallDelta,
};
use crate::api::{Code, ConnectionId, Failure, Outcome, RequestId};
use crate::bounds;
use crate::execute::{Account, Answer, Ledger};

/// Who answered.
pub(super) struct Who {
    connection: ConnectionId,
    model: String,
}

impl Who {
    /// Who gave an answer.
    pub(super) fn of(answer: &Answer) -> Self {
        Self { connection: answer.connection.clone(), model: answer.model.to_string() }
    }
}

/// What was said so far.
pub(super) struct Gathered {
    id: RequestId,
    model: Option<String>,
    text: Option<String>,
    begun: Calls,
    calls: Vec<ToolCall>,
    finish_reason: Option<String>,
    bytes: usize,
}

impl Gathered {
    /// Nothing yet.
    pub(super) fn new(id: RequestId) -> Self {
        Self { id, model: None, text: None, begun: Calls::default(), calls: Vec::new(), finish_reason: None, bytes: 0 }
    }

    /// All of it at once.
    ///
    /// # Errors
    /// As [`Gathered::add`].
    pub(super) fn whole(mut self, said: Said) -> Result<Self, Failure> {
        self.add(said).map(|_| self)
    }

    /// Adds what came, and says it in events.
    ///
    /// # Errors
    /// When it is more than a reply may hold.
    pub(super) fn add(&mut self, mut said: Said) -> Result<Vec<ExecuteEvent>, Failure> {
        let mut events = Vec::new();
        self.model = said.model.take().or_else(|| self.model.take());
        let answer = said.first();
        self.finish_reason = answer.finish_reason.or_else(|| self.finish_reason.take());
        if let Some(delta) = answer.text.or(answer.refusal) {
            self.count(delta.len())?;
            self.text.get_or_insert_default().push_str(&delta);
            if !delta.is_empty() {
                events.push(ExecuteEvent::Text(TextDelta { delta }));
            }
        }
        for piece in answer.calls {
            events.push(ExecuteEvent::ToolCall(self.add_piece(piece)?));
        }
        Ok(events)
    }

    fn add_piece(&mut self, piece: CallPiece) -> Result<ToolCallDelta, Failure> {
        self.count(piece.arguments.len())?;
        let place = self.begun.place(&piece);
        let index = number(place.call);
        if let (Some(call), false) = (self.calls.get_mut(place.call), place.begins) {
            call.arguments.push_str(&piece.arguments);
            return Ok(ToolCallDelta { index, id: None, name: None, arguments_delta: piece.arguments });
        }
        if self.calls.len() >= bounds::REPLY_CALLS_MAX {
            let most = bounds::REPLY_CALLS_MAX;
            return Err(Failure::new(Code::UpstreamTooLarge, format!("the reply calls more than {most} tools")));
        }
        // A tool's answer has to name its call, so one without an id is given one.
        let id = piece.id.unwrap_or_else(|| format!("call_{:x}_{index}", self.id.as_u128()));
        let name = piece.name.unwrap_or_default();
        self.calls.push(ToolCall { id: id.clone(), name: name.clone(), arguments: piece.arguments.clone() });
        Ok(ToolCallDelta { index, id: Some(id), name: Some(name), arguments_delta: piece.arguments })
    }

    fn count(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= bounds::REPLY_BODY_BYTES_MAX {
            return Ok(());
        }
        let most = bounds::REPLY_BODY_BYTES_MAX >> 20;
        Err(Failure::new(Code::UpstreamTooLarge, format!("the reply is larger than {most} MiB")))
    }

    /// The reply. The account has been closed.
    pub(super) fn reply(&mut self, who: &Who, ledger: &Ledger) -> ExecuteReply {
        let Account { tokens, cost, estimated, .. } = ledger.used();
        ExecuteReply {
            id: self.id,
            provider: who.connection.provider.clone(),
            connection: who.connection.clone(),
            model: self.model.take().unwrap_or_else(|| who.model.clone()),
            output: self.output(),
            usage: ExecuteUsage { tokens, cost_usd: cost, estimated },
            attempts: attempts(ledger),
            duration_ms: u64::try_from(ledger.began().elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn output(&mut self) -> Output {
        let tool_calls: Vec<ToolCall> = mem::take(&mut self.calls);
        // Beside calls an empty text is no text.
        let text = self.text.take().filter(|text| !text.is_empty() || tool_calls.is_empty());
        Output { text, tool_calls, finish_reason: self.finish_reason.take() }
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn attempts(ledger: &Ledger) -> Vec<Attempt> {
    let attempt = |one: &crate::execute::Attempted| Attempt {
        connection: one.connection.clone(),
        outcome: one.outcome.unwrap_or(Outcome::Ok),
        status: one.status,
        ms: one.ms,
    };
    ledger.attempts().iter().map(attempt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::hub::Answer;

    fn gathered() -> Gathered {
        Gathered::new(RequestId::from_parts(1, 2))
    }

    fn piece(index: Option<u32>, id: Option<&str>, arguments: &str) -> CallPiece {
        let name = id.map(|_| "f".to_owned());
        CallPiece { index, id: id.map(str::to_owned), name, arguments: arguments.into(), extra_content: None }
    }

    fn said(answer: Answer) -> Said {
        Said { answers: vec![answer], ..Said::default() }
    }

    fn calls(pieces: Vec<CallPiece>) -> Vec<(String, String)> {
        let mut gathered = gathered();
        for piece in pieces {
            gathered.add(said(Answer { calls: vec![piece], ..Answer::default() })).unwrap();
        }
        gathered.output().tool_calls.into_iter().map(|call| (call.id, call.arguments)).collect()
    }

    fn owned(calls: [(&str, &str); 2]) -> Vec<(String, String)> {
        calls.map(|(id, arguments)| (id.to_owned(), arguments.to_owned())).into()
    }

    #[test]
    fn text_comes_in_pieces_and_as_a_whole() {
        let mut gathered = gathered();
        let mut deltas = Vec::new();
        for text in ["", "a", "b"] {
            deltas.extend(gathered.add(said(Answer { text: Some(text.into()), ..Answer::default() })).unwrap());
        }
        let delta = |text: &str| ExecuteEvent::Text(TextDelta { delta: text.into() });
        assert_eq!(deltas, [delta("a"), delta("b")]);
        assert_eq!(gathered.output().text.as_deref(), Some("ab"));
        assert_eq!(super::Gathered::new(gathered.id).output().text, None);
    }

    #[test]
    fn a_call_of_several_pieces_is_one_call() {
        let pieces = vec![
            piece(Some(0), Some("a"), ""),
            piece(Some(0), None, "{\"x\":"),
            piece(Some(1), Some("b"), "{}"),
            piece(Some(0), None, "1}"),
        ];
        assert_eq!(calls(pieces), owned([("a", "{\"x\":1}"), ("b", "{}")]));
    }

    #[test]
    fn calls_of_one_number_or_none_are_told_apart_by_their_ids() {
        for index in [Some(0), None] {
            let pieces = vec![piece(index, Some("a"), "{"), piece(index, None, "}"), piece(index, Some("b"), "[]")];
            assert_eq!(calls(pieces), owned([("a", "{}"), ("b", "[]")]));
        }
    }

    #[test]
    fn a_call_without_an_id_is_given_one() {
        let made = calls(vec![piece(Some(0), None, "{}"), piece(Some(1), None, "[]")]);
        assert!(made[0].0.starts_with("call_") && made[0].0 != made[1].0, "{made:?}");
    }

    #[test]
    fn beside_calls_an_empty_text_is_none() {
        let mut gathered = gathered();
        let answer =
            Answer { text: Some(String::new()), calls: vec![piece(None, Some("a"), "{}")], ..Answer::default() };
        gathered.add(said(answer)).unwrap();
        assert_eq!(gathered.output().text, None);
    }

    #[test]
    fn a_reply_without_end_is_refused_at_the_bound() {
        let mut gathered = gathered();
        let text = "x".repeat(bounds::REPLY_BODY_BYTES_MAX);
        gathered.add(said(Answer { text: Some(text), ..Answer::default() })).unwrap();
        let failure = gathered.add(said(Answer { text: Some("x".into()), ..Answer::default() })).unwrap_err();
        assert_eq!(failure.code, Code::UpstreamTooLarge);
    }
}
