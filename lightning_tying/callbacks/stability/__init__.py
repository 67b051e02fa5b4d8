"""What a run tells of its shared parameters' uses: sampled steps in; values, alarms, records and pages out."""
