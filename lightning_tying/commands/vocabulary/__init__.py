"""`lightning-tying vocab`: vocabularies and texts go in; trained, united or changed ones, and reports, come out."""
