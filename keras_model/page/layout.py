"""The page itself: where a song is dropped or recorded, and a column for each network that hears it."""

import base64
import html
from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr

from keras_model.page.heard import Heard, hear
from keras_model.page.model import Model
from keras_model.page.picture import Picture
from keras_model.prediction.files import AudioFile
from keras_model.prediction.output import reason_of
from tfrecords.audio import UnusableAudioError
from tfrecords.display.pages import render_template
from tfrecords.errors import UsageError

HOST = "127.0.0.1"
# The system's own fonts, so that none is fetched.
_THEME = gr.themes.Default(font=gr.themes.Font("system-ui"), font_mono=gr.themes.Font("monospace"))
_CSS = """
.answer h2 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
.answer p { margin: .3rem 0; overflow-wrap: anywhere; }
.answer .soft { font-size: .85rem; opacity: .7; }
.answer .failure { color: #c8553d; font-weight: 600; }
.answer table { width: 100%; border: 0; font-size: .85rem; font-variant-numeric: tabular-nums; }
.answer table * { border: 0; }
.answer th, .answer td { padding: .1rem .8rem .1rem 0; text-align: left; vertical-align: top; overflow-wrap: break-word; }
.answer .n { text-align: right; }
audio { width: 100%; }
"""
# One at a time: each hearing takes all cores, and matplotlib's settings are the process's.
_IN_TURN = {"concurrency_limit": 1, "concurrency_id": "network", "api_visibility": "private"}


def build_page(models: Sequence[Model]) -> gr.Blocks:
    """The page for some networks, side by side where there is room."""
    with gr.Blocks(title="Music genres", analytics_enabled=False) as page:
        gr.Markdown("# Music genres")
        song = gr.Audio(sources=["upload", "microphone"], type="filepath", label="A song", editable=False, buttons=[])
        with gr.Row():
            for model in models:
                with gr.Column(min_width=400):
                    _add_column(model, song)
    return page


def serve(page: gr.Blocks, *, port: int | None = None, opened: bool = False) -> str:
    """Serves a page on loopback, in threads of its own, until it is closed.

    Args:
        page: Of `build_page`.
        port: None for the first that is free from 7860 on.
        opened: Whether the user's browser is to open it.

    Returns:
        Its address.

    Raises:
        UsageError: If the port is taken, or none that this user may have.
    """
    try:
        _, address, _ = page.launch(
            server_name=HOST,
            server_port=port,
            inbrowser=opened,
            share=False,
            ssr_mode=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            prevent_thread_lock=True,
            quiet=True,
            theme=_THEME,
            css=_CSS,
        )
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"the page cannot be served at port {port or '7860, nor at the 99 after it'}: taken, or not allowed"
        ) from error
    return str(address)


def _add_column(model: Model, song: gr.Audio) -> None:
    """What one network says of the song, and the chunk that is heard."""
    heard = gr.State()
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            answer = gr.HTML(_answer(model))
        with gr.Column(scale=3, min_width=400, visible=False) as details:
            picture = gr.Image(show_label=False, interactive=False, buttons=[], format="png")
            number = gr.Slider(1, 2, step=1, precision=0, buttons=[], label="Chunk")
            player = gr.HTML()
    shown = [picture, number, player]
    song.change(partial(_hear, model), song, [heard, answer, details, *shown], **_IN_TURN)
    picture.select(_click, heard, shown, show_progress="hidden", **_IN_TURN)
    number.release(_choose, [heard, number], shown, show_progress="hidden", **_IN_TURN)


def _answer(model: Model, **values: Any) -> str:
    values = {"failure": None, "prediction": None, "song": None} | values
    return render_template("answer.html", package="keras_model.page", model=model, **values)


def _hear(model: Model, path: str | None) -> tuple[Any, ...]:
    """A song to the values of a column; a song that cannot be used to a line that says why."""
    nothing = (gr.Column(visible=False), None, gr.skip(), None)
    if path is None:
        return None, _answer(model), *nothing
    song = AudioFile(name=path)
    try:
        heard = hear(song, model.predictor)
    except (UnusableAudioError, OSError) as error:
        return None, _answer(model, failure=f"{song.title}: {reason_of(error)}"), *nothing
    state = (heard, Picture.of(heard))
    answer = _answer(model, song=song.title, prediction=heard.prediction)
    return state, answer, gr.Column(visible=True), *_chunk(*state, heard.surest, played=False)


# What is clicked on may be of the song before: the one that is heard meanwhile has come first.
_NOTHING_TO_HEAR = (gr.skip(), gr.skip(), gr.skip())


def _click(state: tuple[Heard, Picture] | None, event: gr.SelectData) -> tuple[Any, ...]:
    if state is None:
        return _NOTHING_TO_HEAR
    heard, picture = state
    return _chunk(heard, picture, heard.chunk_at(picture.seconds_at(event.index[0])), played=True)


def _choose(state: tuple[Heard, Picture] | None, number: int | None) -> tuple[Any, ...]:
    if state is None or number is None:
        return _NOTHING_TO_HEAR
    return _chunk(*state, min(number, state[0].prediction.n_chunks) - 1, played=True)


def _chunk(heard: Heard, picture: Picture, chunk: int, *, played: bool) -> tuple[Any, ...]:
    """The picture with the chunk marked, the chunk's number, counted from 1, and its sound."""
    begin, end = heard.stretch(chunk)
    n_chunks = heard.prediction.n_chunks
    try:
        sound = base64.b64encode(heard.wav(chunk)).decode("ascii")
    except (UnusableAudioError, OSError) as error:
        return gr.skip(), gr.skip(), f"<p>{html.escape(reason_of(error))}</p>"
    return (
        picture.marked(begin, end),
        gr.Slider(maximum=max(2, n_chunks), value=chunk + 1, visible=n_chunks > 1),
        # Gradio's own player heeds no change of `autoplay`.
        f"<p>Chunk {chunk + 1}: {begin:.1f} to {end:.1f} s</p>"
        f'<audio controls {"autoplay" if played else ""} src="data:audio/wav;base64,{sound}"></audio>',
    )
