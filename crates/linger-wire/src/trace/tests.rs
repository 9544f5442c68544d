//! Scripted traces, for what real kernels do seldom or never, and for what must not be taken for it.

mod causes;
mod doubts;
mod findings;
mod hostile;
mod memory;
mod order;
mod script;
mod signs;
mod ways;
