"""Pictures as arrays and bytes: decode, crop, resize, measure, compare; pure functions that know no database."""
