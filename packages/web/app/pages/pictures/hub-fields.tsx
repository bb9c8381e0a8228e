/**
 * Where the model is: on this machine for trying, or on a hub.
 * @module
 */
import type { JSX } from "preact";
import { Notice } from "../../parts/notice.tsx";
import { SelectField, TextField } from "../../parts/field.tsx";
import { draft, type Draft } from "./draft.ts";

export function HubFields(): JSX.Element {
  const { place, hub } = draft.value;
  const change = (changed: Partial<Draft["hub"]>): void => {
    draft.value = { ...draft.value, hub: { ...hub, ...changed } };
  };
  return (
    <div class="stack">
      <SelectField
        name="Model"
        value={place}
        choices={[
          { value: "here", label: "The chest X-ray network that comes along, all parties on this machine" },
          { value: "hub", label: "A model on a hub" },
        ]}
        onChange={(chosen) => (draft.value = { ...draft.value, place: chosen })}
      />
      {place === "here" ? (
        <Notice kind="warning">
          For trying: hub, enclave and creator are three processes of this machine, and the enclave is a simulator. Its evidence is of the
          same form and proves nothing.
        </Notice>
      ) : (
        <>
          <div class="columns">
            <TextField
              name="Hub's address"
              type="url"
              required
              value={hub.url}
              placeholder="https://"
              hint="A hub that does not answer is asked again for a minute."
              onInput={(url) => change({ url })}
            />
            <TextField name="Your API key" type="password" required value={hub.key} onInput={(key) => change({ key })} />
            <TextField
              name="Name of the model"
              required
              value={hub.model}
              hint="NAME, or NAME@VERSION."
              onInput={(model) => change({ model })}
            />
          </div>
          <TextField
            name="Attestation policy"
            lines={5}
            required
            value={hub.policy}
            hint="The JSON of npx unseen attest policy: which enclaves may have the ciphertext. Nothing leaves before the enclave's evidence fits it."
            onInput={(policy) => change({ policy })}
          />
        </>
      )}
    </div>
  );
}
