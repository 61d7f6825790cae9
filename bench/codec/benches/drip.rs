//! One long line in chunks of 64 bytes: the cost a byte must not grow with the line.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidings_bench_codec::shared::fixtures;
use tidings_proto::decode::{Decoder, Limits};

fn drip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("drip");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    for mebibytes in [1_usize, 4, 16] {
        let corpus = fixtures::drip(mebibytes << 20);
        let (_, expected, _) = corpus.events().next().expect("one event");
        group.throughput(Throughput::Bytes(corpus.stream.len() as u64));
        let id = BenchmarkId::new("line of MiB", mebibytes);
        // One decoder for all passes: what is measured is the decoding, not the system's memory.
        let mut decoder = Decoder::new(Limits::default());
        group.bench_with_input(id, &corpus.stream, |b, stream| {
            b.iter(|| {
                let mut bytes = 0;
                for mut chunk in black_box(stream).chunks(64) {
                    while let Some(event) = decoder.poll_event(&mut chunk).expect("no limit") {
                        bytes += event.data.len();
                    }
                }
                assert_eq!(bytes, expected.len());
            });
        });
    }
}

criterion_group!(benches, drip);
criterion_main!(benches);
