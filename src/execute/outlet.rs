//! The way out to the app: what readers forward is said in the app's dialect and framing.

use bytes::Bytes;

use super::call::{Call, Framing};
use crate::adapter::ingress::{self, ErrorSaid, StreamWriter};
use crate::adapter::{Asked, Dialect};
use crate::api::{Failure, RequestId};

/// What gathers for the app until it is taken.
pub(super) struct Outlet {
    dialect: Dialect,
    request: RequestId,
    /// From OpenAI's dialect into the app's; none where bytes pass.
    translate: Option<Box<dyn StreamWriter>>,
    /// From events into another framing.
    reframe: Option<Box<dyn StreamWriter>>,
    out: Vec<u8>,
}

impl Outlet {
    /// The way out for a call to one candidate.
    pub(super) fn of(call: &Call, asked: &Asked) -> Self {
        let said = &call.said;
        let translate = ingress::of(said.dialect).filter(|_| !asked.pass).map(|ingress| ingress.stream(asked));
        let reframe = (said.manner.framing == Framing::Array).then(ingress::gemini::array);
        Self { dialect: said.dialect, request: call.id, translate, reframe, out: Vec::new() }
    }

    /// Puts whole frames out, in OpenAI's dialect or in the app's own where bytes pass.
    pub(super) fn put(&mut self, frames: &[u8]) {
        match &mut self.translate {
            None => self.frame(frames),
            Some(translate) => {
                let mut said = Vec::new();
                translate.frames(frames, &mut said);
                self.frame(&said);
            }
        }
    }

    /// Whether what was put cannot be said in the app's dialect, so that the stream has ended in an error.
    pub(super) fn has_failed(&self) -> bool {
        self.translate.as_ref().is_some_and(|translate| translate.has_failed())
    }

    /// Takes the end of what the provider says.
    pub(super) fn end(&mut self) {
        if let Some(translate) = &mut self.translate {
            let mut said = Vec::new();
            translate.end(&mut said);
            self.frame(&said);
        }
    }

    /// Ends the stream in an error. One that the writer has ended already in its own is left at that.
    pub(super) fn fail(&mut self, failure: &Failure) {
        if !self.translate.as_ref().is_some_and(|translate| translate.is_over()) {
            let id = self.request.to_string();
            self.frame(&ingress::error_frames(self.dialect, &ErrorSaid::of(failure, Some(&id))));
        }
        self.finish();
    }

    /// Ends what the frames stand in. Nothing may follow, not an error either.
    pub(super) fn finish(&mut self) {
        if let Some(mut reframe) = self.reframe.take() {
            reframe.end(&mut self.out);
        }
    }

    fn frame(&mut self, frames: &[u8]) {
        match &mut self.reframe {
            None => self.out.extend_from_slice(frames),
            Some(reframe) => reframe.frames(frames, &mut self.out),
        }
    }

    /// What has gathered.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out).into())
    }

    /// How much has gathered.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }
}
