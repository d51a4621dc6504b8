"""Annotate what is new every night, then merge small parts and read the output again."""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.providers.standard.operators.bash import BashOperator

OUTPUT = "/srv/corpus.annotated"

with DAG(
    dag_id="bertpipe",
    schedule="15 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
) as dag:
    annotate = BashOperator(
        task_id="annotate",
        bash_command=(
            f"exec bertpipe run /srv/corpus -o {OUTPUT} --lines --components ner"
            " --allow-errors 1% --log-format json"
        ),
        # Another run is at work; it does what this one would have done.
        skip_on_exit_code=75,
    )
    compact = BashOperator(task_id="compact", bash_command=f"exec bertpipe compact {OUTPUT}")
    verify = BashOperator(task_id="verify", bash_command=f"exec bertpipe verify {OUTPUT}")
    annotate >> compact >> verify
