#![allow(clippy::all, clippy::unwrap_used, missing_docs)]
use dockbell::config::PluginConfig;
use dockbell::plugin::{Compiler, Filter, Formatter, Runtime};
use dockbell_tests::guests::{batch, event};
use std::time::Instant;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut c = PluginConfig::new(&a[1]);
    if let Some(j) = a.get(2) {
        c.config = serde_json::from_str(j).unwrap();
    }
    let n: u32 = a.get(3).map_or(20000, |n| n.parse().unwrap());
    let rt = Runtime::with(Compiler::InProcess, Some(std::path::Path::new("/tmp/ws/cache"))).unwrap();
    let t = Instant::now();
    let p = rt.load("x", &c).unwrap();
    println!("load {:?} roles {:?}", t.elapsed(), p.roles());
    let t = Instant::now();
    if p.roles()[0] == dockbell::plugin::Role::Filter {
        let mut f = Filter::start(p).await.unwrap();
        println!("start {:?}", t.elapsed());
        let e = event();
        let t = Instant::now();
        println!("first {:?} {:?}", f.accept(&e).await, t.elapsed());
        let mut all = Vec::new();
        for _ in 0..n / 100 {
            let t = Instant::now();
            for _ in 0..100 {
                let _ = f.accept(&e).await;
            }
            all.push(t.elapsed() / 100);
        }
        all.sort();
        println!("least {:?}, median {:?} per call", all[0], all[all.len() / 2]);
    } else {
        let mut f = Formatter::start(p).await.unwrap();
        println!("start {:?}", t.elapsed());
        for k in [1, 20, 100] {
            let b = batch(k);
            let m = n / k.max(20);
            let t = Instant::now();
            for _ in 0..m {
                let _ = f.format(&b).await;
            }
            println!("{k} events: {:?} per call", t.elapsed() / m);
        }
        for n in f.format(&batch(2)).await.unwrap() {
            println!("{n:#?}");
        }
    }
}
