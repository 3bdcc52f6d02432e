//! Signed notes, checkpoints and policies as C2SP specifies them.
