//! Listeners that change what goes on, and closing.

use crate::scenario::{Close, End, SOON, Scenario, scenario, stream};

pub(super) fn all() -> Vec<Scenario> {
    let silent = || stream(&[]).ends(End::Hold);
    vec![
        scenario("closed in the middle of a piece")
            .has_second()
            .answer(stream(&[b"data:a\n\ndata:close\n\ndata:b\n\n"]).ends(End::Hold)),
        scenario("closed twice").answer(stream(&[b"data:close twice\n\ndata:b\n\n"])),
        scenario("closed by an event that is named as an error")
            .answer(stream(&[b"event:error\ndata:close\n\ndata:b\n\n"])),
        scenario("closed as soon as it is made").closes(Close::AtOnce).answer(silent()),
        scenario("closed before the head")
            .closes(Close::WhenAsked)
            .answer(crate::scenario::Answer { head: String::new(), ..silent() }),
        scenario("closed between two connections").closes_at_error(1).stream("data:a\n\n"),
        scenario("closed between two connections later")
            .closes_at_error(2)
            .stream("")
            .stream("data:a\n\n"),
        scenario("a listener removed while an event is delivered")
            .has_second()
            .stream("data:a\n\ndata:remove\n\ndata:b\n\n"),
        scenario("a listener added while an event is delivered")
            .has_second()
            .stream("data:a\n\ndata:add\n\ndata:b\n\n"),
        scenario("a listener for once").stream("data:once\n\ndata:b\n\ndata:c\n\n"),
        scenario("a handler among listeners")
            .has_second()
            .stream("data:handle\n\ndata:b\n\ndata:add\n\ndata:handle otherwise\n\ndata:d\n\n"),
        scenario("a listener that fails").has_second().stream("data:throw\n\ndata:b\n\n"),
        scenario("listeners outlast connections")
            .answer(stream(&[SOON, b"data:add\n\n"]))
            .stream("data:b\n\n"),
    ]
}
