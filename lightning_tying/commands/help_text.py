"""What `lightning-tying --help` says."""

HELP = """\
usage: lightning-tying COMMAND [options]

Say which parameters a model shares; train the smaller model.

commands
  fit        train:               lightning-tying fit --config RUN.yaml
  validate   measure, validation: lightning-tying validate --config RUN.yaml --ckpt_path runs/RUN/best.ckpt
  test       measure, test:       lightning-tying test --config RUN.yaml
  predict    texts or labels:     lightning-tying predict --config RUN.yaml
  plan       what the sharing spec of a run means and saves; nothing is allocated:
                                  lightning-tying plan --config RUN.yaml [--format json] [--explain]
  discover   the ties that a run's model has, as YAML:
                                  lightning-tying discover --config RUN.yaml
  report     how well the uses of each shared parameter agreed in a run, as a page with pictures:
                                  lightning-tying report runs/RUN [--format html|text|json]
  checkpoint look into checkpoints, and rewrite them: inspect, migrate, consolidate, export, import:
                                  lightning-tying checkpoint inspect runs/RUN/best.ckpt
  vocab      vocabularies of many languages: train, unite, extend, trim, report, diff:
                                  lightning-tying vocab unite es.json pt.json --output DIR
  examples   copy the shipped configs to a folder of yours:
                                  lightning-tying examples DIR

first steps
  lightning-tying examples my && cd my
  lightning-tying plan --config train/multilingual_lm.yaml
  lightning-tying fit --config train/multilingual_lm.yaml --trainer.fast_dev_run true

options of fit, validate, test and predict (all of Lightning's; `lightning-tying fit --help` lists them)
  --config FILE           a run config: model, data, trainer; several are read one after the other
  --model.sharing FILE    the sharing spec; in a run config `sharing` is relative to that config
  --sharing FILE          the same, for any LightningModule
  --let NAME=VALUE        another value of the spec's `let`: --let K=6; may be given several times
  --init_from FILE        start from trained untied weights
  --ckpt_path FILE        go on from a checkpoint; `last`: from the newest of RUN that can be read, or begin;
                          test and predict take RUN's best.ckpt by themselves
  --weights_only false    load a checkpoint of yours that holds more than plain values; it may run any code
  --KEY VALUE             overrides a key: --trainer.max_steps 50, --data.languages '[en, de]'
  --parameter_savings false     leave out the table of what is saved
  --print_config          show the whole config and stop

Every key can be set by the environment too: PL_FIT__TRAINER__MAX_STEPS=50, PL_FIT__MODEL__SHARING=FILE.
A run's checkpoints, logs, tokenizer.json and sharing.* lie in trainer.default_root_dir, without it in runs/RUN/.
Exit status: 0; 2 and one message for bad input; 130 after Ctrl-C, which saves last.ckpt first.

options
  -h, --help   this text
  --version    the version"""
