//! OpenAI's dialect as types, for the adapters that translate it: what an app may say, and what it is told.
//!
//! Where dialects are the same, bytes pass and none of this is used. A translating adapter reads a [`ChatRequest`] or an
//! [`EmbeddingRequest`], and writes a [`ChatReply`], [`Chunk`]s or an [`EmbeddingReply`]. What must stay true: nothing
//! that an app said is dropped in silence unless the answer is the same without it ([`Fields::refuse_rest`]), and a
//! refusal names the field. Bursar's own call reads what apps of the dialect are told with [`Said`].
//!
//! Source: OpenAI's API reference, "Chat completions" and "Embeddings".

mod at_once;
mod calls;
mod fields;
mod message;
mod reply;
mod request;
mod said;
mod used;

pub use at_once::at_once;
pub use calls::{Calls, Place};
pub use fields::{Fields, cannot, cannot_at, unsayable, wrong, wrong_at};
pub use message::{
    AnthropicExtra, Audio, CalledFunction, Content, ExtraContent, File, GoogleExtra, ImageUrl, Message, Part, Role,
    ToolCall, data_url, old_form, unsaid_part,
};
pub use reply::{
    ChatReply, Choice, Chunk, ChunkChoice, Delta, Embedding, EmbeddingReply, FinishReason, FunctionDelta, Logprobs,
    ReplyMessage, TokenLogprob, ToolCallDelta, TopLogprob, Usage, Vector,
};
pub use request::{
    AllowedTools, ChatRequest, Effort, EmbeddingRequest, EncodingFormat, Function, JsonSchema, Mode, Named,
    ResponseFormat, Sampling, Tool, ToolChoice, wants_base64,
};
pub use said::{Answer, CallPiece, RawMessage, Said, is_text_or_null, written};
pub use used::{Used, seconds};
