//! A scheduler that lets time pass only when nobody else can go on, where a scenario wants that.

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use crate::sync::model::clock;

pub(super) struct Patient<S>(pub(super) S);

impl<S: Scheduler> Scheduler for Patient<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.0.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let time = clock::patient();
        let others: Vec<_> = runnable.iter().copied().filter(|task| Some(task.id()) != time).collect();
        let choices = if others.is_empty() { runnable } else { &others };
        self.0.next_task(choices, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}
