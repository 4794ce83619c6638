"""Why a model says what it says: `rnnlm explain`."""
