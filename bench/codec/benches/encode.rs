//! Encoding events into a buffer that is used again.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidings_bench_codec::shared::fixtures;
use tidings_bench_codec::shared::oracle::{self, Seen};
use tidings_proto::{EventId, EventName, encode};

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.sample_size(20).measurement_time(Duration::from_secs(1));
    for corpus in fixtures::all(256 << 10) {
        let events: Vec<(Option<EventId>, Option<EventName>, &str)> = corpus
            .events()
            .map(|(name, data, id)| {
                let name = EventName::new(name).expect("a name of a corpus");
                let id = EventId::new(id).expect("an id of a corpus");
                ((!id.is_empty()).then_some(id), (!name.is_default()).then_some(name), data)
            })
            .collect();
        let mut out = Vec::new();
        let write = |out: &mut Vec<u8>| {
            for (id, name, data) in &events {
                encode::event(out, id.as_ref(), name.as_ref(), None, data);
            }
        };
        write(&mut out);
        let is_event = |seen: &Seen| matches!(seen, Seen::Event { .. });
        let expected: Vec<&Seen> = corpus.seen.iter().filter(|seen| is_event(seen)).collect();
        assert_eq!(oracle::read(&out).seen.iter().collect::<Vec<_>>(), expected);

        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(corpus.name), |b| {
            b.iter(|| {
                out.clear();
                write(black_box(&mut out));
            });
        });
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
