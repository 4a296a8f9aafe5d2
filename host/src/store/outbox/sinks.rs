//! Messages whose sink is no longer configured wait until it is again.

use crate::store::{Store, StoreError};

impl Store {
    /// Lets messages wait whose sink is not one of `names`, and puts those back that waited for one of them. Gives how many
    /// were orphaned, and how many were put back.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn match_sinks(&self, names: &[&str]) -> Result<(usize, usize), StoreError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.change(move |db| {
            let mut sinks = db.prepare("SELECT DISTINCT state, sink FROM message WHERE state IN (0, 5)")?;
            let sinks = sinks.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
            let sinks: Vec<(i64, String)> = sinks.collect::<Result<_, _>>()?;
            let mut set = db.prepare("UPDATE message SET state = ?3 WHERE state = ?1 AND sink = ?2")?;
            let (mut orphaned, mut back) = (0, 0);
            for (state, sink) in &sinks {
                match (state, names.contains(sink)) {
                    (0, false) => orphaned += set.execute((state, sink, 5))?,
                    (5, true) => back += set.execute((state, sink, 0))?,
                    _ => {}
                }
            }
            Ok((orphaned, back))
        })
        .await
    }
}
