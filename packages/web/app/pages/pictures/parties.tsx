/**
 * The four parties, each with what it has got, as a picture, and what it could do with that.
 * @module
 */
import type { JSX } from "preact";
import { byteSize } from "../../parts/numbers.ts";
import { bundledLeak, leakInWords, nearestMeasured } from "./leak-figures.ts";
import style from "./pictures.module.css";
import type { EnclaveFacts, Party, View } from "./run-story.ts";
import { noiseInWords, type RunSettings } from "./settings.ts";

interface PartyWords {
  readonly title: string;
  readonly alternative: string;
  /** Before it has got something. */
  readonly waiting: string;
}

const PARTIES: Readonly<Record<Party, PartyWords>> = {
  user: { title: "You", alternative: "Your picture, as the model takes it", waiting: "Your picture, made as small as the model takes it." },
  hub: { title: "Hub", alternative: "The bytes that the hub got, as greys: noise", waiting: "Nothing yet. It will get sealed bytes." },
  enclave: {
    title: "Enclave",
    alternative: "The ciphertext that the enclave got, as greys: noise",
    waiting: "Nothing yet. It will get ciphertext.",
  },
  creator: {
    title: "Creator",
    alternative: "The features that the creator got, one tile for each channel",
    waiting: "Nothing yet. It will get features.",
  },
};

export function Parties({
  views,
  enclave,
  settings,
  bundled,
  running,
}: {
  readonly views: ReadonlyMap<Party, View>;
  readonly enclave: EnclaveFacts | null;
  readonly settings: RunSettings;
  /** The model is the one whose leak is known here. */
  readonly bundled: boolean;
  readonly running: boolean;
}): JSX.Element {
  const holds: Readonly<Record<Party, (view: View) => JSX.Element>> = {
    user: () => <p>You hold the picture and the session's key, which decrypts and is never stored. Nobody else has either.</p>,
    hub: ({ bytes }) => (
      <p>
        The hub holds {byteSize(bytes)} of sealed bytes and opens none of them. It learns who asks for which model and cut, when, and how
        much is sent.
      </p>
    ),
    enclave: ({ bytes, note }) => (
      <>
        <p>
          The enclave computes on {byteSize(bytes)} ({note}; the stripes are bytes that its numbers leave empty) and has no key that
          decrypts. If it is broken into and the creator helps, the picture can be had.
        </p>
        {enclave?.simulated && <p class="badge warning">Simulator: proves nothing</p>}
      </>
    ),
    creator: ({ bytes }) => <CreatorHolds bytes={bytes} settings={settings} bundled={bundled} />,
  };
  return (
    <div class={style["parties"]}>
      {(Object.keys(PARTIES) as Party[]).map((party) => {
        const view = views.get(party);
        const { title, alternative, waiting } = PARTIES[party];
        return (
          <article key={party} class={style["party"]} aria-label={title}>
            <h3>{title}</h3>
            {view ? (
              <img class={style["view"]} src={`data:image/png;base64,${view.png}`} alt={alternative} />
            ) : (
              <div class={`${style["view"]} ${style["nothing"]}`} aria-hidden="true" />
            )}
            <div class={`small ${style["words"]}`}>
              {view ? (
                holds[party](view)
              ) : (
                <p class="quiet">{running ? waiting : party === "user" ? "It was not read yet." : "It got nothing."}</p>
              )}
            </div>
          </article>
        );
      })}
    </div>
  );
}

function CreatorHolds({
  bytes,
  settings,
  bundled,
}: {
  readonly bytes: number;
  readonly settings: RunSettings;
  readonly bundled: boolean;
}): JSX.Element {
  const found = bundled ? nearestMeasured(settings, bundledLeak.measurements) : null;
  return (
    <>
      <p>
        The creator holds {byteSize(bytes)} of features behind cut {settings.cut}, with noise of {noiseInWords(settings.noise)}. They show
        what the picture shows.
      </p>
      {found && (
        <p>
          <strong>{leakInWords(found.measurement, bundledLeak)}</strong> Measured: {found.measurement.psnr.toFixed(1)} dB
          {found.exact ? "" : `, at the nearest measured setting (noise ${found.measurement.noise}, ${found.measurement.bits} bits)`}.
        </p>
      )}
    </>
  );
}
