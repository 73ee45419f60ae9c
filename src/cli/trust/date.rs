//! When a key is valid, as people say it and as ssh writes it.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

use crate::declare::signers::Signer;

/// An instant in whole seconds, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instant(pub(super) Timestamp);

impl Instant {
    /// As it is written to `allowed_signers`: `20270131Z` or `20270131180000Z`.
    pub(super) fn written(self) -> String {
        let text = self.0.strftime("%Y%m%d%H%M%S").to_string();
        format!("{}Z", text.strip_suffix("000000").unwrap_or(&text))
    }
}

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "it is no date in UTC: write `2027-01-31Z` (its first second), `2027-01-31T18:00:00Z` \
             or, as ssh does, `20270131Z`"
                .to_owned()
        };
        let Some(local) = text.strip_suffix('Z') else {
            let in_utc = format!("{text}Z");
            let hint = || {
                format!(
                    "it is in the zone of whichever machine reads it; write it in UTC: `{in_utc}`"
                )
            };
            return Err(in_utc.parse::<Self>().map_or_else(|_| wrong(), |_| hint()));
        };
        let digits = local.bytes().all(|b| b.is_ascii_digit());
        let format = match local.len() {
            8 if digits => "%Y%m%d",
            12 if digits => "%Y%m%d%H%M",
            14 if digits => "%Y%m%d%H%M%S",
            10 => "%Y-%m-%d",
            16 => "%Y-%m-%dT%H:%M",
            19 => "%Y-%m-%dT%H:%M:%S",
            _ => return Err(wrong()),
        };
        let broken = jiff::fmt::strtime::parse(format, local).map_err(|_| wrong())?;
        let date = broken.to_date().map_err(|_| wrong())?;
        let time = broken.to_time().unwrap_or(civil::Time::midnight());
        let instant = date.to_datetime(time);
        if instant.strftime(format).to_string() != local {
            return Err(wrong());
        }
        let zoned = instant.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
        Ok(Self(zoned.timestamp()))
    }
}

/// From when to when a key is valid, in words.
pub(super) fn span(line: &Signer) -> String {
    let from = line.valid_after.map(|from| format!(", from {from}"));
    let until = line.valid_before.map(|until| format!(", until {until}"));
    from.into_iter().chain(until).collect()
}

#[cfg(test)]
mod tests {
    use super::Instant;

    #[test]
    fn dates_in_utc() {
        for (text, written) in [
            ("2027-01-31Z", "20270131Z"),
            ("20270131Z", "20270131Z"),
            ("2027-01-31T18:00Z", "20270131180000Z"),
            ("2027-01-31T18:00:05Z", "20270131180005Z"),
            ("202701311800Z", "20270131180000Z"),
            ("20270131180005Z", "20270131180005Z"),
        ] {
            assert_eq!(text.parse::<Instant>().unwrap().written(), written);
        }
        for text in ["2027-01-31", "tomorrow", "2027-02-30Z", "Z", "2027013Z", "+2027-1-31Z", ""] {
            assert!(text.parse::<Instant>().is_err(), "{text}");
        }
        // What is advised is taken.
        let advice = |text: &str| text.parse::<Instant>().unwrap_err();
        assert!(advice("2027-01-31").ends_with("write it in UTC: `2027-01-31Z`"));
        for text in ["31.01.2027", "2027-02-30", "tomorrow"] {
            assert!(
                advice(text).starts_with("it is no date in UTC: write `2027-01-31Z`"),
                "{text}"
            );
        }
    }
}
