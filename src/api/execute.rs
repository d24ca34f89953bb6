//! Bursar's own call: `POST /v1/execute`.
