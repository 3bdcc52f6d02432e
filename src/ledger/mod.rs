//! The sequencer, the commit path, recovery and reads.
