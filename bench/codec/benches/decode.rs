//! Every decoder on every corpus, in chunks of four sizes. The binary `table` measures the same
//! interleaved, and holds the bars.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidings_bench_codec::shared::fixtures;
use tidings_bench_codec::{Kind, chunks, contenders::ALL};

fn decode(criterion: &mut Criterion) {
    for chunk_bytes in [16 << 10, 1_400, 64, 1] {
        // Some peers take time quadratic in the length of a line in small chunks.
        let stream_bytes = if chunk_bytes == 1 { 64 << 10 } else { 256 << 10 };
        for corpus in fixtures::all(stream_bytes) {
            let chunks = chunks(&corpus.stream, chunk_bytes);
            let mut group = criterion.benchmark_group(format!("{}/{chunk_bytes}", corpus.name));
            group
                .sample_size(10)
                .warm_up_time(Duration::from_millis(200))
                .measurement_time(Duration::from_millis(600))
                .throughput(Throughput::Bytes(corpus.stream.len() as u64));
            for contender in &ALL {
                let ours = matches!(contender.kind, Kind::Borrowed | Kind::Owned);
                let right = (contender.check)(&chunks, &corpus);
                assert!(right || !ours, "{} reads {} wrongly", contender.name, corpus.name);
                let name = match (right, contender.kind) {
                    (false, Kind::Peer) => format!("{} (wrong)", contender.name),
                    _ => contender.name.to_owned(),
                };
                group.bench_with_input(BenchmarkId::from_parameter(name), &chunks, |b, chunks| {
                    b.iter(|| black_box((contender.count)(black_box(chunks))));
                });
            }
        }
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
