"""Where the models lie: each name is the folder of one, in Hugging Face layout."""

from pathlib import Path

FOLDER = Path(__file__).parent

en_ner_mini = FOLDER / "en_ner_mini"
en_sentiment_mini = FOLDER / "en_sentiment_mini"
en_qa_mini = FOLDER / "en_qa_mini"
en_nli_mini = FOLDER / "en_nli_mini"
