"""Names and values that other projects use for our settings: data alone, read where an unknown name is answered.

Names are compared without regard to case, '-' being '_'. Gathered from the command lines and notebooks of the papers'
code and of replications, and from the libraries that this field's users come from: openai/grok (Power et al. 2022),
Nanda et al. 2023, Omnigrok (Liu et al. 2023), Grokfast (Lee et al. 2024), Prieto et al. 2025, teddykoker/grokking,
danielmamay/grokking, TomFrederik/grokking, nanoGPT; PyTorch and Lightning, Keras, optax, Hugging Face, scikit-learn.
"""

SAME = {
    "modulus": "p mod mod_p modulo prime prime_number field_size num_elements",
    "operation": "op op_name fn fn_name operator math_operator binary_op binary_operation operation_name",
    "operands": "k num_operands n_operands num_summands",
    "vocab_size": "d_vocab n_vocab num_embeddings",
    "train_fraction": "fraction frac frac_train fraction_train train_frac train_ratio train_split split_ratio "
    "training_fraction training_ratio data_fraction",
    "train_rows": "num_train n_train train_points num_train_samples n_train_samples train_samples num_train_examples",
    "batch_size": "batch bs batchsize batch_sz mini_batch_size minibatch_size train_batch_size "
    "per_device_train_batch_size",
    "batch_rule": "batch_style",
    "width": "d_model dim dim_model d hidden_size hidden_dim d_hidden embed_dim embedding_dim emb_dim embedding_size "
    "d_embed n_embd n_embed model_dim",
    "mlp_width": "d_mlp d_ff ff_dim ffn_dim mlp_dim dim_feedforward intermediate_size",
    "num_layers": "n_layers n_layer nlayers layers depth num_hidden_layers num_blocks n_blocks",
    "num_heads": "n_heads n_head nhead nheads heads num_attention_heads",
    "positions": "pos_emb pos_encoding positional_encoding positional_embedding position_embedding",
    "init_scheme": "init init_method initialization weight_init initializer kernel_init",
    "init_scale": "initialization_scale weight_init_scale init_factor",
    "learning_rate": "lr max_lr lr_max peak_lr peak_value base_lr learning_rate_init learning_rates",
    "weight_decay": "wd decay_weight weight_decay_rate",
    "decay": "weight_decay_kind weight_decay_type decay_kind",
    "warmup_steps": "warmup n_warmup num_warmup_steps warmup_iters lr_warmup_steps",
    "clip_norm": "clip grad_clip clip_grad clip_grad_norm grad_clip_norm max_grad_norm gradient_clip_val clipnorm "
    "global_clipnorm gradient_clip",
    "update_noise": "noise_factor",
    "gradient_noise": "grad_noise",
    "b1": "beta1 beta_1 adam_beta1",
    "b2": "beta2 beta_2 adam_beta2 rms_alpha",
    "eps": "epsilon adam_epsilon adam_eps",
    "momentum": "sgd_momentum momentum_decay",
    "grokfast": "filter filter_type grad_filter gradfilter grokfast_type use_grokfast",
    "grokfast_lamb": "lamb lambda_ grokfast_lambda",
    "grokfast_window": "window window_size grokfast_window_size",
    "orthogonal_gradient": "orthogonal_gradients orthograd use_orthograd ortho_grad",
    "loss": "loss_function loss_fn loss_type loss_name criterion objective",
    "loss_dtype": "cross_entropy_dtype softmax_dtype softmax_precision loss_precision",
    "precision": "matmul_precision train_dtype train_precision float32_matmul_precision",
    "steps": "num_steps n_steps max_steps train_steps training_steps total_steps num_train_steps iterations "
    "num_iterations max_iters num_iters n_iters optimization_steps budget",
    "epochs": "num_epochs n_epochs nepochs max_epochs epoch num_train_epochs train_epochs",
    "seed": "random_seed manual_seed rng_seed rand_seed torch_seed random_state prng_seed",
    "num_seeds": "n_seeds n_runs num_runs num_trials n_trials trials",
    "split_seed": "data_seed dataset_seed",
    "init_seed": "model_seed weight_seed params_seed",
    "optimizer": "optim opt optimiser optimizer_name optimizer_type",
    "model": "model_name model_type arch architecture network",
    "task": "task_name",
    "digits": "num_digits n_digits",
    "features": "input_dim in_features n_features num_features d_in",
    "target_tolerance": "tolerance tol",
    "metrics": "metric",
    "out": "output_file out_file outfile save_to save_path results_file result_file",
    "overwrite": "force",
    "progress": "verbose",
    "dropout": "dropout_rate dropout_prob p_drop pdrop",
    "norm": "norm_position norm_style",
}
"""Our names, each with other projects' names of the same thing, between spaces."""

EVALUATIONS = (
    "Evaluated steps are set by eval_at: --eval_at=every:50 evaluates every 50 steps, --eval_at=log:300 at about 300 "
    "log-spaced ones."
)
RESULTS = (
    "A sweep writes all curves to one NPZ, --out=results/sweep.npz. From Python, grokjax.export(path, 'tensorboard', "
    "folder) hands it to TensorBoard, and likewise to 'wandb' and 'trackio'."
)
SCHEDULES = (
    "Of learning-rate schedules only a linear warm-up has a name, --warmup_steps=10. Write another as an optax chain "
    "with grokjax.optimizers.custom, and name its file: --optimizer=my_file.py:make_optimizer."
)
SNAPSHOTS = (
    "The final parameters of a run are always kept beside --out. --snapshots=20 keeps those of 20 log-spaced steps too."
)
RESUMING = "The same command, with the same --out, continues where it stopped."
STOPPING = "A run ends early at a validation accuracy, --stop_accuracy=0.99, or at a validation loss, --stop_loss=1e-3."
DEVICES = (
    "JAX trains on the accelerator that it finds, otherwise on all CPU cores. --num_devices=1 uses one of them; the "
    "environment variable JAX_PLATFORMS=cpu chooses the CPU."
)
VALIDATION = (
    "All rows that do not train validate. Set the rows that train, by --train_fraction=0.5 or --train_rows=4000."
)
SPLIT = "The rows that train are a share of the table, --train_fraction=0.5, or a number, --train_rows=4000."
LENGTH = "The length of a row follows from its tokens: try --tokens='a b =' (3) or --tokens='a o b =' (4)."
OUTLIERS = "Wrong labels are counted, not a share: --outliers=100 gives 100 training rows the answer of another row."
NORMS = "LayerNorm is set by norm: --norm=post, --norm=pre or --norm=none."
TORCH_ONLY = (
    "Our optimizers do not have it. Write an optax chain with grokjax.optimizers.custom, and name its file: "
    "--optimizer=my_file.py:make_optimizer."
)

SENTENCES = {
    "The random seed is --seed. Try --num_seeds=3 for seeds 0, 1 and 2, or --seed=0,1,2.": "seeds seed_list",
    "alpha is train_fraction here where it is the share of the table that trains (PKU, Huang et al.), grokfast_alpha "
    "where it is the decay of Grokfast's average, output_scale where it multiplies the logits, and init_scale where it "
    "multiplies the initial weights (Omnigrok). Try --train_fraction=0.5 or --grokfast_alpha=0.98.": "alpha",
    "train_fraction is a share and not a percentage. Try --train_fraction=0.5 for 50 %.": "train_data_pct train_pct "
    "train_percent pct_train",
    "All rows in one batch are --batch_rule=full.": "full_batch use_full_batch fullbatch",
    "L2 regularisation in the gradient is weight decay of another kind. Try --weight_decay=1 --decay=gradient.": "l2 "
    "l2_reg l2_lambda",
    "Beta 1 and beta 2 have a flag each. Try --b1=0.9 --b2=0.98.": "betas adam_betas",
    "Tensors are frozen as a group whose learning rate is 0. Try --group=embedding --group_rate=0.": "freeze frozen "
    "freeze_embedding freeze_embeddings freeze_embed freeze_layers frozen_layers trainable requires_grad",
    "Tensors are exempt from decay as a group whose decay is 0. Try --group='*.bias+*norm*' --group_decay=0.": ""
    "no_decay no_weight_decay exclude_from_weight_decay weight_decay_mask decay_mask no_decay_params",
    "A rate of their own is a factor on the tensors of a group. Try --group=embedding --group_rate=0.1.": ""
    "param_groups parameter_groups params_groups lr_mult layer_lr embed_lr embedding_lr lr_embed unembed_lr",
    "Biases are set by bias: --bias=none, --bias=mlp or --bias=all.": "use_bias biases",
    "A head has width / num_heads features. Try --width=128 --num_heads=4.": "d_head head_dim dim_head",
    "Progress is shown unless --noprogress is given.": "quiet silent q",
    "What is learned is a task: one of ours, as --task=modular --operation=add, or a file, --task=mine.npz.": ""
    "dataset data dataset_name data_name data_dir datadir",
    "Settings are flags, and several values of one make an axis. Try --learning_rate=1e-3,1e-2; the scripts under "
    "experiments/ hold whole configurations.": "config config_file cfg config_name",
    "Runs that train at once are set by the cores, --num_devices=2, and on an accelerator by --lanes=8.": "num_workers "
    "workers n_jobs jobs num_cpus",
    EVALUATIONS: "eval_every eval_interval eval_steps eval_freq eval_frequency eval_iters log_every log_interval "
    "log_freq log_frequency log_steps logging_steps log_every_n_steps print_every "
    "print_freq test_every test_interval "
    "val_every val_interval val_check_interval",
    RESULTS: "wandb use_wandb wandb_project wandb_entity wandb_mode wandb_name project entity logger tensorboard "
    "use_tensorboard mlflow neptune comet report_to track log_wandb logdir log_dir",
    SCHEDULES: "schedule schedule_type scheduler lr_scheduler lr_schedule lr_scheduler_type use_lr_scheduler anneal_lr "
    "anneal_lr_steps annealing cosine cosine_decay lr_decay decay_steps min_lr end_value lr_min gamma",
    SNAPSHOTS: "save_every save_freq save_interval save_steps save_model save_models save_weights save_checkpoints "
    "checkpoint_every ckpt_every checkpoint_interval checkpoint_freq checkpoint_dir ckpt_dir save_dir",
    RESUMING: "resume resume_from resume_from_checkpoint load_checkpoint ckpt ckpt_path from_checkpoint",
    STOPPING: "stopping_thresh stop_thresh stopping_threshold early_stopping early_stop early_stopping_patience "
    "patience target_accuracy target_acc",
    DEVICES: "device devices gpu gpus gpu_id cuda use_cuda no_cuda cpu use_cpu use_gpu accelerator platform",
    VALIDATION: "test_size test_fraction test_frac test_split test_points val_size val_fraction val_frac val_split "
    "validation_split eval_fraction",
    SPLIT: "train_size training_size dataset_size data_size n_samples num_samples",
    LENGTH: "n_ctx max_seq_len max_seq_length context_length context_len max_context_len block_size max_len",
    OUTLIERS: "label_noise label_noise_fraction noise_frac noise_fraction corruption corrupt_fraction label_corruption "
    "frac_corrupted",
    NORMS: "use_ln use_layernorm layernorm layer_norm pre_norm prenorm norm_first pre_ln use_layer_norm",
    TORCH_ONLY: "nesterov amsgrad dampening label_smoothing lookahead sam use_sam ema_decay",
}
"""What to do, and the names that it answers: names that have no single counterpart here, or none at all."""

VALUES = {
    "operation": {
        "add": "+ plus sum addition add_mod modular_addition sum_mod",
        "subtract": "- minus sub difference subtraction sub_mod subtract_mod minus_mod",
        "multiply": "* mul mult times product multiplication mul_mod product_mod multiply_mod prod",
        "divide": "/ div division quotient div_mod divide_mod",
        "divide_if_odd": "even_odd even_div_odd_subtraction x/y_if_y_odd_else_x-y",
        "random": "rand random_labels memorize memorise",
        "x^2+y^2": "x2y2 square_sum sum_of_squares sum_squares",
        "x^2+x*y+y^2": "x2xyy2 quad1",
        "x^2+x*y+y^2+x": "x2xyy2x quad2",
        "x^3+x*y": "x3xy cubic1",
        "x^3+x*y^2+y": "x3xy2y cubic2",
    },
    "task": {
        "modular": "modular_addition modadd mod_add modulo arithmetic modular_arithmetic",
        "permutations": "perm permutation s5 s_5 sn s_n symmetric_group group",
        "digits": "addition digit_addition 5_digit_addition multi_digit_addition",
        "repeated": "induction repeated_subsequence repeated_tokens",
        "skip_trigram": "skip_trigrams trigram",
        "sparse_parity": "parity sparse_parities parities",
        "teacher": "teacher_student student_teacher",
        "polynomial": "single_index polynomial_regression hermite",
    },
    "model": {
        "decoder": "transformer gpt gpt2 decoder_only decoderonly transformer_decoder nanogpt hooked_transformer",
        "encoder_decoder": "encoderdecoder seq2seq t5 transformer_encoder_decoder nn.transformer",
        "mlp": "fc ffn feedforward dense fnn",
        "resnet": "residual res_net",
        "lstm": "recurrent",
    },
    "optimizer": {
        "adamw": "adam_w adamw_torch",
        "sgd_momentum": "momentum sgdm sgd_with_momentum msgd sgdmomentum",
        "rmsprop": "rms_prop rms",
        "sgd": "gd",
    },
    "loss": {
        "cross_entropy": "ce xent nll softmax cross_entropy_loss softmax_cross_entropy",
        "stablemax": "stable_max stablemax_cross_entropy",
        "mse": "mse_loss l2 squared_error mean_squared_error squared",
    },
    "loss_dtype": {
        "float16": "16 fp16 f16 half",
        "float32": "32 fp32 f32 single float",
        "float64": "64 fp64 f64 double",
    },
    "precision": {
        "float32": "32 fp32 f32 single float",
        "tensorfloat32": "tf32",
        "bfloat16": "16 bf16 bfloat",
    },
    "decay": {"zero": "to_zero decoupled", "init": "to_init initial", "gradient": "l2 coupled grad"},
    "grokfast": {"ema": "true yes on 1", "ma": "moving_average", "none": "false no off 0"},
    "norm": {
        "none": "false no off 0 ln_free",
        "post": "layer layernorm postnorm post_ln true",
        "pre": "prenorm pre_ln",
    },
    "bias": {"all": "true yes on 1", "none": "false no off 0"},
    "batch_rule": {"full": "full_batch whole", "shuffled": "shuffle random"},
    "positions": {"sinusoidal": "sin sincos sinusoid fixed", "learned": "learnt learnable trainable embedding"},
    "init_scheme": {"pytorch": "torch kaiming default", "normal": "gaussian"},
    "output": {"numbers": "classes residues"},
}
"""Per setting, our values, each with others' names of the same, between spaces."""

VALUE_SENTENCES = {
    "optimizer": {
        "Grokfast is a setting of every optimizer. Try --optimizer=adamw --grokfast=ema.": "grokfast grokfast_ema "
        "grokadamw grokfast_adamw",
        "The orthogonal gradient is a setting of any optimizer. Try --optimizer=adamw --orthogonal_gradient.": ""
        "orthograd ortho_grad ortho_adamw orthoadamw orthoadam",
        TORCH_ONLY: "adagrad adadelta adamax nadam radam lion lamb lars lbfgs sophia shampoo soap sam adafactor "
        "novograd yogi schedule_free prodigy",
    },
    "loss": {
        "The losses are cross_entropy, stablemax and mse; from Python, Config(loss=...) takes a function of yours.": ""
        "mae l1 huber hinge focal",
    },
    "task": {
        "No data comes with grokjax: save your arrays by numpy.savez('mine.npz', inputs=inputs, labels=labels), and "
        "try --task=mine.npz.": "mnist fashion_mnist cifar cifar10 cifar_10 iris",
    },
    "model": {
        "The models are decoder, encoder_decoder, lstm, mlp and resnet. Give a Flax module of yours by its file: "
        "--model=my_file.py:make_model.": "rnn gru encoder bert transformer_encoder cnn vit mamba kan",
    },
}
"""Per setting, what to do, and the values that it answers."""
