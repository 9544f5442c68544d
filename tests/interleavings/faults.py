"""Do the scenarios of `make interleavings` find faults? Each of these is put into a copy of tower-linger, one at a time, and must be
found by the test that is named with it. `make interleavings-faults`, after `make interleavings`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from unit import REPOSITORY, compiled

# What the fault is, the file below crates/tower-linger/src, what stands there, what takes its place, and who finds it.
FAULTS = [
    (
        "the tracker looks whether it is empty before it counts the end of a close",
        "tracker/state.rs",
        "        state.closing -= 1;\n        let is_over = state.is_over();",
        "        let is_over = state.is_over();\n        state.closing -= 1;",
        "who_waits_until_nothing_is_left_is_woken_by_the_last",
    ),
    (
        "the close of a served connection is counted after it has left the served ones",
        "tracker/state.rs",
        "        state.closing += 1;\n        let is_ending = state.deadline.is_some();\n        drop(state);",
        "        let is_ending = state.deadline.is_some();\n        drop(state);\n        self.lock().closing += 1;",
        "counts_add_up_while_connections_come_and_go",
    ),
    (
        "who waits for idleness looks at the count before he registers",
        "tracker/tracker.rs",
        "            let all_done = self.inner.all_done.notified();\n            if self.is_empty() {\n                return;\n"
        "            }\n            all_done.await;",
        "            if self.is_empty() {\n                return;\n            }\n            self.inner.all_done.notified().await;",
        "a_connection_that_is_taken_away_while_somebody_waits_wakes_him",
    ),
    (
        "a task looks for the cut before it registers",
        "serve/loan.rs",
        "        if self.is_polled_anew(side, cx) {\n            connection.register(side, cx.waker());\n"
        "            self.polled_by[side as usize] = WakerId::of(cx.waker());\n        }\n        if connection.is_cut() {",
        "        let is_cut = connection.is_cut();\n        if self.is_polled_anew(side, cx) {\n"
        "            connection.register(side, cx.waker());\n"
        "            self.polled_by[side as usize] = WakerId::of(cx.waker());\n        }\n        if is_cut {",
        "a_read_that_begins_to_wait_while_the_connection_is_cut_fails",
    ),
    (
        "a cut takes the wakers before it sets the flag",
        "serve/connection.rs",
        "        self.set(CUT);\n        std::mem::take(&mut self.lock().wakers)",
        "        let wakers = std::mem::take(&mut self.lock().wakers);\n        self.set(CUT);\n        wakers",
        "a_task_that_begins_to_wait_while_it_is_cut_sees_that_or_is_woken",
    ),
    (
        "a connection whose future is gone is only dropped",
        "serve/hand_back.rs",
        "        close.detach();",
        "        std::mem::forget(close);",
        "a_connection_that_is_dropped_while_its_future_is_dropped_is_closed_once",
    ),
    (
        "a close that comes back wakes nobody",
        "serve/way_back.rs",
        "        drop(state);\n        waker.into_iter()",
        "        drop(state);\n        waker.into_iter().take(0)",
        "a_future_that_is_polled_elsewhere_completes_once_the_socket_is_released",
    ),
    (
        "a future that is gone is waited for",
        "serve/way_back.rs",
        "let state = std::mem::take(&mut *self.lock());",
        "let state = std::mem::replace(&mut *self.lock(), State::Awaited(None));",
        "a_connection_that_is_dropped_while_its_future_is_dropped_is_closed_once",
    ),
    (
        "a timer that has nobody left is remembered as running",
        "tracker/timers.rs",
        "        self.schedules.swap_remove(index);\n        (due, None)",
        "        (due, None)",
        "everyone_is_woken_at_his_time",
    ),
    (
        "a timer that sleeps for too long is not woken for an earlier time",
        "tracker/timers.rs",
        "Some((next, waker)) if time.0 < *next => Timer::Wake(waker.clone()),",
        "Some((next, waker)) if time.0 < *next && waker.will_wake(Waker::noop()) => Timer::Wake(waker.clone()),",
        "everyone_is_woken_at_his_time",
    ),
    (
        "nobody is told that a runtime has ended",
        "tracker/timer_task.rs",
        "        waiting.into_iter().for_each(Waker::wake);\n    }\n}",
        "        drop(waiting);\n    }\n}",
        "a_close_that_relied_on_a_runtime_that_ends_goes_on_in_another",
    ),
    (
        "a second request does not end what the first has begun",
        "tracker/shutdown.rs",
        "            let is_first = stop_at.is_none();",
        "            let is_first = true;",
        "of_two_requests_at_the_same_time_the_second_ends_it_at_once",
    ),
    (
        "the oldest close is evicted, and nobody wakes it",
        "tracker/state.rs",
        "        evicted.into_iter().for_each(Waker::wake);",
        "        drop(evicted);",
        "one_more_than_may_linger_evicts_one",
    ),
    (
        "a close is reported after it was counted",
        "close/ticket.rs",
        "        self.settings.report(report);\n        self.outcome = Some(report.outcome);\n    }",
        "        self.outcome = Some(report.outcome);\n        let settings = self.settings.clone();\n        drop(self);\n"
        "        settings.report(report);\n    }",
        "counts_add_up_while_connections_come_and_go",
    ),
    (
        "a gauge is set once and not looked at again",
        "close/listener_metrics.rs",
        "        if now == counted {\n            return;\n        }",
        "        return;",
        "a_gauge_shows_what_is_counted_once_nobody_changes_it",
    ),
    (
        "a transport goes on to wake the task that polled the close first",
        "close/progress.rs",
        "            watched.follow(cx.waker());\n",
        "",
        "a_close_that_waits_to_flush_wakes_whoever_polls_it_now",
    ),
]


def main():
    chosen = [fault for fault in FAULTS if all(word in fault[0] + fault[4] for word in sys.argv[1:])]
    missed = []
    with tempfile.TemporaryDirectory() as directory:
        tree, state = Path(directory) / "tree", Path(directory) / "state"
        shutil.copytree(REPOSITORY / "crates/tower-linger", tree / "crates/tower-linger")
        state.mkdir()
        for what, file, old, new, test in chosen:
            path = tree / "crates/tower-linger/src" / file
            whole = path.read_text()
            if whole.count(old) != 1:
                sys.exit(f"{file} no longer has what this fault replaces: {what}")
            path.write_text(whole.replace(old, new))
            tests = compiled(tree, incremental=state)
            path.write_text(whole)
            if not tests:
                sys.exit(f"does not compile: {what}")
            environment = os.environ | {"RUST_BACKTRACE": "0"}
            ran = subprocess.run([tests, test], env=environment, capture_output=True, text=True, timeout=600)
            is_found = ran.returncode != 0 and "running 1 test" in ran.stdout
            print("found " if is_found else "MISSED", what, flush=True)
            if not is_found:
                missed.append(what)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults found")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
