from keras_rnnlm.bench.pictures import groups, title


def test_rows_of_one_task_model_and_cell_belong_together() -> None:
    rows = [
        {"task": task, "workload": "tiny", "cell": cell, "peer": peer}
        for task in ("training", "scoring")
        for cell in ("lstm", "gru")
        for peer in ("a", "b")
    ]
    assert [len(group) for group in groups(rows)] == [2, 2, 2, 2]
    assert [row["peer"] for row in groups(rows)[0]] == ["a", "b"]


def test_titles() -> None:
    row = {"task": "training", "cell": "gru", "layers": 2, "units": 650}
    row |= {"vocabulary": 10_000, "batch": 20, "steps": 35}
    expected = "training: GRU 2 x 650, vocabulary 10,000, batch 20, 35 steps"
    assert title(row) == expected
    assert title({**row, "task": "generation"}).endswith("one text at a time")
