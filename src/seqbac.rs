//! The `.seqbac` file format.
